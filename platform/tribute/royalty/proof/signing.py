"""Ed25519 signatures (RFC 8032): private keys in PEM, public keys and signatures in lower-case hexadecimal."""

import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tribute.errors import ProofError

_PUBLIC = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


def new_key() -> tuple[str, str]:
    """A new private key and its public key. The PEM (PKCS #8) is not encrypted: keep the file private."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    return pem, _public_hex(key)


def public_key(private_pem: str) -> str:
    """The public key of a private key: 64 hexadecimal digits.

    Raises:
        ProofError: not an Ed25519 private key in PEM.
    """
    return _public_hex(_private(private_pem))


def sign(private_pem: str, message: bytes) -> str:
    """The signature of a message: 128 hexadecimal digits, the same each time for one key and message.

    Raises:
        ProofError: not an Ed25519 private key in PEM.
    """
    return _private(private_pem).sign(message).hex()


def check(public_hex: str, message: bytes, signature_hex: str) -> bool:
    """Whether the signature is the key's for exactly this message. False if the text is not a signature.

    Raises:
        ProofError: not a public key.
    """
    key = _public(public_hex)
    if _SIGNATURE.fullmatch(signature_hex) is None:
        return False
    try:
        key.verify(bytes.fromhex(signature_hex), message)
    except InvalidSignature:
        return False
    return True


def _public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _private(pem: str) -> Ed25519PrivateKey:
    remedy = "Give the file that `new_key` made"
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ProofError(f"The private key is encrypted. tribute takes no password. {remedy}") from None
    except ValueError:
        raise ProofError(f"This is not a private key in PEM (-----BEGIN PRIVATE KEY-----). {remedy}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ProofError(f"The private key is a {type(key).__name__}, expected an Ed25519 key. {remedy}")
    return key


def _public(public_hex: str) -> Ed25519PublicKey:
    if _PUBLIC.fullmatch(public_hex) is None:
        raise ProofError(f"Public key {public_hex[:80]!r} is not 64 lower-case hexadecimal digits. Copy all of it")
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))
    except ValueError:
        raise ProofError(f"Public key {public_hex} is not a point of the Ed25519 curve. Copy it again") from None
