"""Signing a closed period, and verifying it offline."""

from tribute.royalty.proof.bundle import BundleFacts, build_bundle, with_proofs
from tribute.royalty.proof.signing import new_key, public_key
from tribute.royalty.proof.verify import Problem, verify_bundle, verify_statement

__all__ = [
    "BundleFacts",
    "Problem",
    "build_bundle",
    "new_key",
    "public_key",
    "verify_bundle",
    "verify_statement",
    "with_proofs",
]
