"""Whether a statement or a bundle is what its payer signed, and adds up. Findings are values; none: it holds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tribute.errors import ProofError
from tribute.royalty.proof.bundle import Pieces, fact_hashes, pieces_of, signed_part, tree_head
from tribute.royalty.proof.merkle import MerkleTree, leaf_hash, root_from_range
from tribute.royalty.proof.recompute.account import account_problems
from tribute.royalty.proof.recompute.header import header_problems
from tribute.royalty.proof.recompute.interval import interval_problems
from tribute.royalty.proof.recompute.parts import part_problems
from tribute.royalty.proof.recompute.period import division_problems, split_problems
from tribute.royalty.proof.recompute.pools import payable_problems, pool_problems
from tribute.royalty.proof.recompute.shares import share_problems
from tribute.royalty.proof.recompute.statement import policy_problems, statement_problems
from tribute.royalty.proof.shapes import OTHER_RELEASE, Record, Shape, misshapen
from tribute.royalty.proof.signing import check
from tribute.royalty.proof.statement_shape import BUNDLE, STATEMENT
from tribute.royalty.proof.strict_json import Problem, read_canonical

__all__ = ["Problem", "verify_bundle", "verify_statement"]
_RUNS = ("value_run", "simulate_run", "train_run")
_OF_VERSION = (*_RUNS, "statement_version", "restates_statement_version", "quality_certificate", "shrinkage")
"""What all statements of a bundle have in common, beside model, period and policy."""


def verify_statement(content: bytes, public_key: str | None = None) -> list[Problem]:
    """What is wrong with the bytes of one statement, without a view of any other: an empty list if it holds.

    Recomputed are ids and days, sums, the parts of the share as far as they rest on the publisher's own value,
    shares and amounts of the lines, the interval's amounts, the balance, the policy's text and hash; checked are
    canonical JSON, schema, membership in the signed tree, and signature.

    Args:
        public_key: of the payer, if the reader knows it; the proof must then be under this key.
    """
    statement = _document(content, STATEMENT)
    if isinstance(statement, list):
        return statement
    return [
        *_own(statement, ""),
        *_status(statement, ""),
        *_membership(statement, statement["proof"]),
        *_known_key(statement["proof"], "proof.public_key", public_key),
    ]


def verify_bundle(content: bytes, public_key: str | None = None) -> list[Problem]:
    """What is wrong with the bytes of a period's bundle: an empty list if all of it holds.

    Recomputed are every statement, the division by the policy, the amounts of the pools, leaves, root and fact
    hashes; checked are canonical JSON, schema and signatures.

    Args:
        public_key: of the payer, if the reader knows it; the bundle must then be under this key.
    """
    bundle = _document(content, BUNDLE)
    if isinstance(bundle, list):
        return bundle
    statements = bundle["statements"]
    return [
        *(each for i, own in enumerate(statements) for each in _own(own, f"statements[{i}]")),
        *(each for i, own in enumerate(statements) for each in _status(own, f"statements[{i}]")),
        *pool_problems(statements),
        *payable_problems(statements),
        *division_problems(statements),
        *split_problems(statements),
        *_order(bundle),
        *_leaves(bundle),
        *_facts(bundle),
        *_signatures(bundle),
        *_known_key(bundle, "public_key", public_key),
    ]


def _document(content: bytes, shape: Record) -> dict[str, Any] | list[Problem]:
    document, problem = read_canonical(content)
    wrong = [problem] if problem else []
    if document is None:
        return wrong
    kind = list(_other_schema(document.get("schema"), shape.keys["schema"]))
    if 2 * len(document.keys() & shape.keys.keys()) < len(shape.keys):
        return wrong or kind or list(misshapen(document, shape, ""))
    if "schema" in document and kind:
        return [*wrong, *kind]
    # A key that was changed stands out of order: the schema names it better than the order does.
    return [*wrong, *misshapen(document, shape, "")] or document


def _other_schema(name: object, expected: Shape) -> Iterator[Problem]:
    for place, text in misshapen(name, expected, "schema"):
        family = str(name).rpartition("/")[0]
        ours = family and f"'{family}/" in text.rpartition("expected")[2]
        yield Problem(place, f"{text}. {OTHER_RELEASE}" if ours else text)


def _own(statement: Mapping[str, Any], place: str) -> Iterator[Problem]:
    yield from header_problems(statement, place)
    yield from statement_problems(statement, place)
    yield from interval_problems(statement, place)
    yield from part_problems(statement, place)
    yield from share_problems(statement, place)
    yield from account_problems(statement, place)


def _status(statement: Mapping[str, Any], place: str) -> Iterator[Problem]:
    if statement["status"] != "final":
        at = f"{place}.status".removeprefix(".")
        yield Problem(at, f"is {statement['status']!r}, expected 'final': only closed periods are proven")


def _membership(statement: Mapping[str, Any], proof: Mapping[str, Any]) -> Iterator[Problem]:
    if proof["period"] != statement["period"]:
        yield Problem("proof.period", f"is {proof['period']}, the statement is of {statement['period']}")
    hashes = [leaf_hash(leaf) for leaf in pieces_of(statement).leaves]
    try:
        given = [bytes.fromhex(each) for each in proof["hashes"]]
        root = root_from_range(hashes, proof["first_leaf"], proof["tree_size"], given).hex()
    except ProofError as error:
        yield Problem("proof.hashes", str(error))
    else:
        if root != proof["root"]:
            text = f"is {proof['root']}, but this statement and the proof's hashes give {root}: one was changed"
            yield Problem("proof.root", text)
    message = tree_head(statement["model_id"], proof["period"], proof["root"], proof["tree_size"])
    if not _holds(proof["public_key"], message, proof["signature"]):
        text = "is not the key's for this model, period, root and tree size: one of them was changed"
        yield Problem("proof.signature", text)


def _order(bundle: Mapping[str, Any]) -> Iterator[Problem]:
    before = None
    for index, statement in enumerate(bundle["statements"]):
        place = f"statements[{index}]"
        if before is not None and statement["statement_id"] <= before:
            yield Problem(f"{place}.statement_id", "is not above the one before: sorted by id, each once")
        before = statement["statement_id"]
        for key in ("model_id", "period", "policy"):
            if statement[key] != bundle[key]:
                yield Problem(f"{place}.{key}", "is another than the bundle's")
        for key in _OF_VERSION:
            if statement[key] != bundle["statements"][0][key]:
                yield Problem(f"{place}.{key}", "is another than in statements[0]")
    for key in _RUNS:
        if key in bundle["simulation"] and any(bundle["simulation"][key] != s[key] for s in bundle["statements"]):
            yield Problem(f"simulation.{key}", "is another than on the statements")


def _leaves(bundle: Mapping[str, Any]) -> Iterator[Problem]:
    """Statement against leaf against root: of the three, the one that stands alone is named."""
    said, pieces = bundle["leaves"], [pieces_of(each) for each in bundle["statements"]]
    places, found = _found_leaves(pieces)
    if len(said) != len(found):
        yield Problem("leaves", f"are {len(said)}, the statements have {len(found)}")
    elif said != found:
        leaf_changed = MerkleTree([bytes.fromhex(each) for each in found]).root.hex() == bundle["root"]
        for index, (own, theirs) in enumerate(zip(said, found, strict=True)):
            if own != theirs:
                at, other = (
                    (f"leaves[{index}]", places[index]) if leaf_changed else (places[index], f"leaves[{index}]")
                )
                yield Problem(at, f"was changed: its hash and {other} do not agree ({theirs}, {own})")
    root = MerkleTree([bytes.fromhex(each) for each in said]).root.hex()
    if root != bundle["root"]:
        yield Problem("root", f"is {bundle['root']}, but the leaves give {root}")
    if bundle["tree_size"] != len(said):
        yield Problem("tree_size", f"is {bundle['tree_size']}, but there are {len(said)} leaves")
    if said == found:
        yield from _statement_hashes(bundle["statement_sha256"], [each.sha256 for each in pieces])


def _found_leaves(pieces: Sequence[Pieces]) -> tuple[list[str], list[str]]:
    places, found = [], []
    for index, each in enumerate(pieces):
        place = f"statements[{index}]"
        places += [place, *(f"{place}.lines[{line}]" for line in range(len(each.leaves) - 1))]
        found += [leaf_hash(leaf).hex() for leaf in each.leaves]
    return places, found


def _statement_hashes(said: Sequence[str], found: Sequence[str]) -> Iterator[Problem]:
    if len(said) != len(found):
        yield Problem("statement_sha256", f"are {len(said)}, for {len(found)} statements")
    for index, (own, theirs) in enumerate(zip(said, found, strict=False)):
        if own != theirs:
            yield Problem(f"statement_sha256[{index}]", f"is {own}, but statements[{index}] has {theirs}")


def _facts(bundle: Mapping[str, Any]) -> Iterator[Problem]:
    """Fact against its hash; if the signature holds with the hashes found, the printed hash was changed."""
    yield from policy_problems(bundle["policy"], "policy")
    said, found = bundle["facts_sha256"], fact_hashes(bundle)
    if said == found:
        return
    message = signed_part({**bundle, "facts_sha256": found})
    hash_changed = _holds(bundle["public_key"], message, bundle["signature"])
    for fact, sha256 in found.items():
        if sha256 != said[fact]:
            place = f"facts_sha256.{fact}" if hash_changed else fact
            yield Problem(place, f"was changed: {fact} has the hash {sha256}, facts_sha256 says {said[fact]}")


def _signatures(bundle: Mapping[str, Any]) -> Iterator[Problem]:
    key = bundle["public_key"]
    head = tree_head(bundle["model_id"], bundle["period"], bundle["root"], bundle["tree_size"])
    head_holds = _holds(key, head, bundle["head_signature"])
    all_holds = _holds(key, signed_part(bundle), bundle["signature"])
    if not (head_holds or all_holds):
        yield Problem("public_key", "did not sign this: neither signature holds, so key or content was changed")
    elif not head_holds:
        yield Problem("head_signature", "is not the key's for this model, period, root and tree size")
    elif not all_holds:
        yield Problem("signature", "is not the key's for this bundle: it, or something it covers, was changed")


def _holds(key: str, message: bytes, signature: str) -> bool:
    try:
        return check(key, message, signature)
    except ProofError:  # the document's key is no point of the curve
        return False


def _known_key(document: Mapping[str, Any], place: str, public_key: str | None) -> Iterator[Problem]:
    if public_key is not None and document["public_key"] != public_key:
        yield Problem(place, f"is {document['public_key']}, not the known key {public_key}")
