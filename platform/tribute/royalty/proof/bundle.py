"""The signed bundle of a closed period, and the proof that a statement is part of it.

One key signs twice: `signature` covers all keys of the bundle but the two signatures and the statements, which
`leaves` cover; `head_signature` covers model, period, root and tree size, so that a statement can be verified
without the bundle.
"""

import hashlib
from collections.abc import Iterable, Sequence

from tribute.errors import ProofError
from tribute.royalty.document import (
    BUNDLE_SCHEMA,
    PROOF_SCHEMA,
    Bundle,
    BundleFacts,
    FactHashes,
    Statement,
    StatementProof,
)
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.proof.merkle import MerkleTree, leaf_hash
from tribute.royalty.proof.signing import public_key, sign

_UNSIGNED = {"signature", "head_signature", "statements"}
_HEAD_SCHEMA = "tribute.tree_head/1"


def build_bundle(facts: BundleFacts, statements: Sequence[Statement], private_pem: str) -> Bundle:
    """The signed bundle of a period. It holds the statements sorted by id and without `proof`.

    Raises:
        ProofError: a statement is of another model or period, is not final or is given twice; or the key is not an
            Ed25519 private key.
    """
    ranked = [each.unproven() for each in sorted(statements, key=lambda statement: statement.statement_id)]
    _check(facts, ranked)
    contents = [statement.canonical() for statement in ranked]
    leaves = [leaf_hash(content) for content in contents]
    root = MerkleTree(leaves).root.hex()
    unsigned = Bundle(
        schema=BUNDLE_SCHEMA,
        **{name: getattr(facts, name) for name in BundleFacts.model_fields},
        facts_sha256=fact_hashes(facts),
        statements=tuple(ranked),
        statement_sha256=tuple(hashlib.sha256(content).hexdigest() for content in contents),
        leaves=tuple(leaf.hex() for leaf in leaves),
        root=root,
        tree_size=len(leaves),
        public_key=public_key(private_pem),
        head_signature=sign(private_pem, tree_head(facts.model_id, facts.period, root, len(leaves))),
        signature="0" * 128,
    )
    return unsigned.model_copy(update={"signature": sign(private_pem, signed_part(unsigned))})


def merkle_root(statements: Iterable[Statement]) -> str:
    """The root of the bundle of these statements, hexadecimal: the same in any order, with proofs or without."""
    ranked = sorted(statements, key=lambda each: each.statement_id)
    return MerkleTree([leaf_hash(each.unproven().canonical()) for each in ranked]).root.hex()


def with_proofs(bundle: Bundle, statements: Sequence[Statement]) -> list[Statement]:
    """The statements in the given order, each with the `proof` that it is part of the bundle.

    Raises:
        ProofError: the bundle does not hold a statement with this content.
    """
    tree = MerkleTree([bytes.fromhex(leaf) for leaf in bundle.leaves])
    indices = {leaf: index for index, leaf in enumerate(bundle.leaves)}
    proven = []
    for statement in statements:
        index = indices.get(leaf_hash(statement.unproven().canonical()).hex())
        if index is None:
            raise ProofError(
                f"The bundle has no statement {statement.statement_id} with this content. Take it from the bundle"
            )
        proven.append(statement.model_copy(update={"proof": _proof(bundle, tree, index)}))
    return proven


def tree_head(model_id: str, period: str, root: str, tree_size: int) -> bytes:
    """The message of `head_signature`, which is also the signature of each statement's proof."""
    head = {"model_id": model_id, "period": period, "root": root, "tree_size": tree_size}
    return canonical_json(head | {"schema": _HEAD_SCHEMA})


def signed_part(bundle: Bundle) -> bytes:
    """The message of `signature`: all keys of a bundle but the two signatures and the statements."""
    return canonical_json(bundle.model_dump(mode="json", by_alias=True, exclude=_UNSIGNED))


def fact_hashes(facts: BundleFacts) -> FactHashes:
    """SHA-256 of each fact of a bundle. If the bundle is changed, they show which fact was changed."""
    plain = facts.model_dump(mode="json", include=set(BundleFacts.model_fields))
    return FactHashes(
        **{name: hashlib.sha256(canonical_json({name: fact})).hexdigest() for name, fact in plain.items()}
    )


def _check(facts: BundleFacts, ranked: Sequence[Statement]) -> None:
    of_period = (facts.model_id, facts.period, "final")
    before = None
    for statement in ranked:
        name, got = statement.statement_id, (statement.model_id, statement.period, statement.status)
        if got != of_period:
            raise ProofError(f"Statement {name} is of {got}, the bundle of {of_period}. Bundle its own period")
        if name == before:
            raise ProofError(f"Statement {name} is given twice. Give every statement of the period once")
        before = name


def _proof(bundle: Bundle, tree: MerkleTree, index: int) -> StatementProof:
    return StatementProof(
        schema=PROOF_SCHEMA,
        tree_size=bundle.tree_size,
        leaf_index=index,
        hashes=tuple(each.hex() for each in tree.inclusion_proof(index)),
        root=bundle.root,
        period=bundle.period,
        signature=bundle.head_signature,
        public_key=bundle.public_key,
    )
