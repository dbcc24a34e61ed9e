"""Ed25519 against a vector of RFC 8032, and the messages for invalid keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tribute.errors import ProofError
from tribute.royalty.proof.signing import check, new_key, public_key, sign

SECRET = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
PUBLIC = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def pem_of(key: Ed25519PrivateKey | Ed448PrivateKey, password: bytes | None = None) -> str:
    """PKCS #8 text."""
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def test_signs_as_rfc_8032_does() -> None:
    """RFC 8032, 7.1, test 3."""
    pem = pem_of(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SECRET)))
    assert public_key(pem) == PUBLIC
    assert sign(pem, b"\xaf\x82") == SIGNATURE
    assert check(PUBLIC, b"\xaf\x82", SIGNATURE)


def test_a_signature_holds_for_its_message_and_key_only() -> None:
    pem, public = new_key()
    signature = sign(pem, b"paid")
    assert public_key(pem) == public
    assert check(public, b"paid", signature)
    assert not check(public, b"Paid", signature)
    assert not check(new_key()[1], b"paid", signature)


@pytest.mark.parametrize("signature", ["", "00", "g" * 128, SIGNATURE.upper(), SIGNATURE + "00", SIGNATURE + "\n"])
def test_text_that_is_not_a_signature_does_not_hold(signature: str) -> None:
    assert not check(PUBLIC, b"\xaf\x82", signature)


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        ("", "not a private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key in PEM"),
        (pem_of(Ed448PrivateKey.generate()), "is a .*Ed448.*, expected an Ed25519 key"),
        (pem_of(Ed25519PrivateKey.generate(), b"secret"), "is encrypted"),
    ],
)
def test_a_wrong_private_key_is_refused(pem: str, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        sign(pem, b"")


@pytest.mark.parametrize("key", ["", "ab", PUBLIC.upper(), PUBLIC + "\n"])
def test_a_wrong_public_key_is_refused(key: str) -> None:
    with pytest.raises(ProofError, match="64 lower-case hexadecimal digits"):
        check(key, b"", SIGNATURE)
