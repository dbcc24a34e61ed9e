"""Verifies that a statement or a bundle is what its payer signed, and adds up. Problems are values, not errors."""

import hashlib
from collections.abc import Iterator, Sequence

from tribute.errors import ProofError
from tribute.royalty.document import Bundle, Statement, StatementProof
from tribute.royalty.proof.bundle import fact_hashes, signed_part, tree_head
from tribute.royalty.proof.findings import Problem, within
from tribute.royalty.proof.merkle import MerkleTree, leaf_hash, root_from_proof
from tribute.royalty.proof.parser import parse
from tribute.royalty.proof.recompute.account import account_problems
from tribute.royalty.proof.recompute.period import (
    division_problems,
    payable_problems,
    pool_problems,
    split_problems,
)
from tribute.royalty.proof.recompute.shares import share_problems
from tribute.royalty.proof.recompute.statement import policy_problems, statement_problems
from tribute.royalty.proof.signing import check

_RUNS = ("value_run", "simulate_run", "train_run")
_OF_VERSION = (
    *_RUNS,
    "repetition",
    "statement_version",
    "restates_statement_version",
    "quality_certificate",
    "shrinkage",
)
"""Fields that all statements of a bundle have in common, in addition to model, period and policy."""


def verify_statement(content: bytes, public_key: str | None = None) -> list[Problem]:
    """Every problem of the bytes of one statement, seen alone; an empty list if it holds.

    The bytes must be the canonical JSON of a `Statement`, and the statement must pass `check_statement`.

    Args:
        public_key: the payer's public key, 64 hexadecimal digits. If given, it must have signed.
    """
    statement = parse(content, Statement)
    return statement if isinstance(statement, list) else check_statement(statement, public_key)


def verify_bundle(content: bytes, public_key: str | None = None) -> list[Problem]:
    """Every problem of the bytes of a period's bundle; an empty list if it holds.

    The bytes must be the canonical JSON of a `Bundle`, and the bundle must pass `check_bundle`.

    Args:
        public_key: the payer's public key, 64 hexadecimal digits. If given, it must have signed.
    """
    bundle = parse(content, Bundle)
    return bundle if isinstance(bundle, list) else check_bundle(bundle, public_key)


def check_statement(statement: Statement, public_key: str | None = None) -> list[Problem]:
    """Every problem of one statement, seen alone.

    Recomputed: ids and days, sums, parts of the share as far as they depend on the publisher's own value, shares
    and amounts of the lines, amounts at the ends of the interval, balance, text and hash of the policy. Checked:
    the statement is a leaf of the tree whose head the key signed.
    """
    problems = [*_own(statement, "")]
    if statement.proof is None:
        return [*problems, Problem("proof", "is missing: only statements of a closed period carry a proof")]
    return [
        *problems,
        *_membership(statement, statement.proof),
        *_known_key(statement.proof.public_key, "proof.public_key", public_key),
    ]


def check_bundle(bundle: Bundle, public_key: str | None = None) -> list[Problem]:
    """Every problem of a bundle.

    Recomputed: every statement, the division by the policy, the amounts of the pools, leaves, root and fact
    hashes. Checked: both signatures.
    """
    statements = bundle.statements
    return [
        *(problem for index, each in enumerate(statements) for problem in _own(each, f"statements[{index}]")),
        *pool_problems(statements),
        *payable_problems(statements),
        *division_problems(statements),
        *split_problems(statements),
        *_order(bundle),
        *_leaves(bundle),
        *_facts(bundle),
        *_signatures(bundle),
        *_known_key(bundle.public_key, "public_key", public_key),
    ]


def _own(statement: Statement, place: str) -> Iterator[Problem]:
    yield from statement_problems(statement, place)
    yield from share_problems(statement, place)
    yield from account_problems(statement, place)
    if statement.status != "final":
        text = f"is {statement.status!r}, expected 'final': only closed periods are proven"
        yield Problem(within(place, "status"), text)


def _membership(statement: Statement, proof: StatementProof) -> Iterator[Problem]:
    if proof.period != statement.period:
        yield Problem("proof.period", f"is {proof.period}, but the statement is of {statement.period}")
    leaf = leaf_hash(statement.unproven().canonical())
    hashes = [bytes.fromhex(each) for each in proof.hashes]
    try:
        root = root_from_proof(leaf, proof.leaf_index, proof.tree_size, hashes).hex()
    except ProofError as error:
        yield Problem("proof.hashes", f"do not fit: {error}")
    else:
        if root != proof.root:
            text = f"is {proof.root}, but statement and proof.hashes give {root}: one of them was changed"
            yield Problem("proof.root", text)
    message = tree_head(statement.model_id, proof.period, proof.root, proof.tree_size)
    if not _holds(proof.public_key, message, proof.signature):
        text = "is not the key's signature of this model, period, root and tree size: one of them was changed"
        yield Problem("proof.signature", text)


def _order(bundle: Bundle) -> Iterator[Problem]:
    before = ""
    for index, statement in enumerate(bundle.statements):
        place, first = f"statements[{index}]", bundle.statements[0]
        if statement.statement_id <= before:
            text = "does not follow the id before it: statements are sorted by id, each once"
            yield Problem(f"{place}.statement_id", text)
        before = statement.statement_id
        if statement.proof is not None:
            yield Problem(f"{place}.proof", "is not part of a bundle: its statements carry no proof")
        for name in ("model_id", "period", "policy"):
            if getattr(statement, name) != getattr(bundle, name):
                yield Problem(f"{place}.{name}", f"differs from {name} of the bundle")
        for name in _OF_VERSION:
            if getattr(statement, name) != getattr(first, name):
                yield Problem(f"{place}.{name}", f"differs from statements[0].{name}")
    for name in _RUNS:
        written = bundle.simulation.get(name)
        if written is not None and any(getattr(each, name) != written for each in bundle.statements):
            yield Problem(f"simulation.{name}", "differs from the statements")


def _leaves(bundle: Bundle) -> Iterator[Problem]:
    """Statement, leaf and root: if two of them agree, the third is named."""
    contents = [statement.unproven().canonical() for statement in bundle.statements]
    found = [leaf_hash(content) for content in contents]
    written = [bytes.fromhex(each) for each in bundle.leaves]
    root = MerkleTree(written).root.hex()
    if len(written) != len(found):
        yield Problem("leaves", f"are {len(written)}, expected one for each of {len(found)} statements")
    elif written != found:
        leaf_changed = MerkleTree(found).root.hex() == bundle.root
        for index, (own, theirs) in enumerate(zip(written, found, strict=True)):
            if own != theirs:
                place = f"leaves[{index}]" if leaf_changed else f"statements[{index}]"
                text = f"was changed: the statement has the leaf hash {theirs.hex()}, `leaves` has {own.hex()}"
                yield Problem(place, text)
    if root != bundle.root:
        yield Problem("root", f"is {bundle.root}, but the leaves give {root}")
    if bundle.tree_size != len(written):
        yield Problem("tree_size", f"is {bundle.tree_size}, but there are {len(written)} leaves")
    if written == found:
        hashes = [hashlib.sha256(content).hexdigest() for content in contents]
        yield from _statement_hashes(bundle.statement_sha256, hashes)


def _statement_hashes(written: Sequence[str], found: Sequence[str]) -> Iterator[Problem]:
    if len(written) != len(found):
        yield Problem("statement_sha256", f"are {len(written)}, expected one for each of {len(found)} statements")
    for index, (own, theirs) in enumerate(zip(written, found, strict=False)):
        if own != theirs:
            yield Problem(f"statement_sha256[{index}]", f"is {own}, but statements[{index}] has the hash {theirs}")


def _facts(bundle: Bundle) -> Iterator[Problem]:
    """Fact against its hash. If the signature holds with the hashes found, the printed hash was changed."""
    yield from policy_problems(bundle.policy, "policy")
    written, found = bundle.facts_sha256, fact_hashes(bundle)
    if written == found:
        return
    message = signed_part(bundle.model_copy(update={"facts_sha256": found}))
    hash_changed = _holds(bundle.public_key, message, bundle.signature)
    for fact, sha256 in found:
        own = getattr(written, fact)
        if own != sha256:
            place = f"facts_sha256.{fact}" if hash_changed else fact
            yield Problem(place, f"was changed: {fact} has the hash {sha256}, but facts_sha256.{fact} is {own}")


def _signatures(bundle: Bundle) -> Iterator[Problem]:
    key = bundle.public_key
    head = tree_head(bundle.model_id, bundle.period, bundle.root, bundle.tree_size)
    head_holds = _holds(key, head, bundle.head_signature)
    all_holds = _holds(key, signed_part(bundle), bundle.signature)
    if not (head_holds or all_holds):
        yield Problem("public_key", "did not sign this: neither signature holds, so key or content was changed")
    elif not head_holds:
        yield Problem("head_signature", "is not the key's signature of this model, period, root and tree size")
    elif not all_holds:
        text = "is not the key's signature of this bundle: the signature or something it covers was changed"
        yield Problem("signature", text)


def _holds(key: str, message: bytes, signature: str) -> bool:
    try:
        return check(key, message, signature)
    except ProofError:  # the document's key is not a point of the curve
        return False


def _known_key(found: str, place: str, expected: str | None) -> Iterator[Problem]:
    if expected is not None and found != expected:
        yield Problem(place, f"is {found}, expected the known key {expected}")
