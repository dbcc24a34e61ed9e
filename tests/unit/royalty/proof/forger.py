"""A dishonest payer: signs any JSON as a bundle, with its own implementation, so that the signatures hold."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tribute.royalty.document import BundleFacts, Statement
from tribute.royalty.proof.merkle import MerkleTree, leaf_hash
from tribute.royalty.proof.signing import public_key, sign

Plain = dict[str, Any]


def typed(statements: Sequence[Plain]) -> list[Statement]:
    """The statements that JSON holds."""
    return [Statement.model_validate(each) for each in statements]


def plain(statements: Sequence[Statement]) -> list[Plain]:
    """Statements as JSON holds them, to be changed."""
    return [each.plain() for each in statements]


def facts_of(statement: Statement, **changes: Any) -> BundleFacts:
    """Facts that fit a statement; any of them can be changed."""
    facts = {
        "model_id": statement.model_id,
        "period": statement.period,
        "code_version": "1.0",
        "policy": statement.policy,
        "inputs": ({"table": "queries", "run_ids": ["attribute-1"], "rows": 3, "sha256": "ab" * 32},),
        "simulation": {name: getattr(statement, name) for name in ("value_run", "simulate_run", "train_run")},
        "files": (),
        "ledger": {"entries": 0, "sha256": "0" * 64},
    }
    return BundleFacts.model_validate(facts | changes)


def canonical(document: object) -> bytes:
    """Canonical JSON of anything that JSON can hold."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def forged_bundle(facts: Mapping[str, Any], statements: Sequence[Plain], private_pem: str) -> Plain:
    """A bundle whose hashes and signatures hold, whatever the facts and statements say."""
    contents = [canonical({key: value for key, value in each.items() if key != "proof"}) for each in statements]
    leaves = [leaf_hash(content) for content in contents]
    head = {
        "model_id": facts["model_id"],
        "period": facts["period"],
        "root": MerkleTree(leaves).root.hex(),
        "tree_size": len(leaves),
    }
    signed = {
        **facts,
        **head,
        "schema": "tribute.bundle/2",
        "facts_sha256": {name: _sha256(canonical({name: fact})) for name, fact in facts.items()},
        "leaves": [leaf.hex() for leaf in leaves],
        "statement_sha256": [_sha256(content) for content in contents],
        "public_key": public_key(private_pem),
    }
    head_signature = sign(private_pem, canonical(head | {"schema": "tribute.tree_head/1"}))
    signature = sign(private_pem, canonical(signed))
    return signed | {
        "statements": list(statements), "head_signature": head_signature, "signature": signature,
    }  # fmt: skip


def forged_statement(bundle: Plain, index: int) -> Plain:
    """A statement of a forged bundle, with its proof."""
    tree = MerkleTree([bytes.fromhex(leaf) for leaf in bundle["leaves"]])
    proof = {name: bundle[name] for name in ("tree_size", "root", "period", "public_key")} | {
        "schema": "tribute.proof/2",
        "leaf_index": index,
        "hashes": [each.hex() for each in tree.inclusion_proof(index)],
        "signature": bundle["head_signature"],
    }
    return bundle["statements"][index] | {"proof": proof}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
