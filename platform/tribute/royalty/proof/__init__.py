"""Signing a closed period, and verifying it offline."""

from tribute.royalty.proof.bundle import build_bundle, merkle_root, with_proofs
from tribute.royalty.proof.findings import Problem
from tribute.royalty.proof.signing import new_key, public_key
from tribute.royalty.proof.verdict import Verdict, verdict
from tribute.royalty.proof.verify import verify_bundle, verify_statement

__all__ = [
    "Problem",
    "Verdict",
    "build_bundle",
    "merkle_root",
    "new_key",
    "public_key",
    "verdict",
    "verify_bundle",
    "verify_statement",
    "with_proofs",
]
