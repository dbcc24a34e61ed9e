"""The signed bundle of a closed period, and the part of it that proves a single statement.

Two signatures of one key: `signature` over all of the bundle but both and the statements (which `leaves` cover),
and `head_signature` over model, period, root and tree size alone, so that a statement can be checked without the
bundle.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from tribute.errors import ProofError
from tribute.royalty.account.ledger import GENESIS
from tribute.royalty.exact.canonical import canonical_json, check_exact, encoded
from tribute.royalty.proof.merkle import MerkleTree, leaf_hash
from tribute.royalty.proof.signing import public_key, sign

BUNDLE_SCHEMA = "tribute.bundle/1"
PROOF_SCHEMA = "tribute.proof/1"
_UNSIGNED = ("signature", "head_signature", "statements")
_HEAD_SCHEMA = "tribute.tree_head/1"


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle says of its period beside the statements; JSON-ready, without floats.

    `policy` is the same record as on the statements; an input is `{table, run_ids, rows, sha256}`, all rows of a
    table that these runs committed; a file `{setting, name, sha256}`; the ledger `{entries, sha256}`, how many
    entries it has up to the end of the period and the hash of the last one.
    """

    model_id: str
    period: str
    code_version: str
    policy: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]]
    simulation: Mapping[str, Any]
    files: Sequence[Mapping[str, Any]] = ()
    ledger: Mapping[str, Any] = field(default_factory=lambda: {"entries": 0, "sha256": GENESIS})


FACTS = tuple(BundleFacts.__dataclass_fields__)


class Pieces(NamedTuple):
    """A statement in bytes, every line encoded once: its leaves, and the SHA-256 of all of it but `proof`."""

    leaves: list[bytes]
    sha256: str


def leaves_of(statement: Mapping[str, Any]) -> list[bytes]:
    """The head (all but `lines` and `proof`), then every line with the id of its statement: canonical JSON each.

    Raises:
        MoneyError: a float, or anything else that JSON cannot hold exactly.
    """
    check_exact(statement)
    return pieces_of(statement).leaves


def pieces_of(statement: Mapping[str, Any]) -> Pieces:
    """Leaves and hash of a statement that `check_exact` has passed."""
    fields = {key: encoded(value) for key, value in statement.items() if key not in ("lines", "proof")}
    lines = [encoded(line) for line in statement["lines"]]
    name = fields["statement_id"]
    leaves = [_joined(fields), *(b'{"line":%b,"statement_id":%b}' % (line, name) for line in lines)]
    whole = _joined(fields | {"lines": b"[%b]" % b",".join(lines)})
    return Pieces(leaves, hashlib.sha256(whole).hexdigest())


def _joined(fields: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (encoded(key), fields[key]) for key in sorted(fields))


def build_bundle(facts: BundleFacts, statements: Sequence[Mapping[str, Any]], private_pem: str) -> dict[str, Any]:
    """The signed bundle of a period: its statements, sorted by id and without `proof`, and what proves them.

    Raises:
        MoneyError: a float, or anything else that JSON cannot hold exactly.
        ProofError: a statement of another model or period, not final or given twice; not an Ed25519 private key.
    """
    ranked = sorted(statements, key=lambda statement: statement["statement_id"])
    _check(facts, ranked)
    for statement in ranked:
        check_exact(statement)
    pieces = [pieces_of(statement) for statement in ranked]
    hashes = [leaf_hash(leaf) for each in pieces for leaf in each.leaves]
    root, size = MerkleTree(hashes).root.hex(), len(hashes)
    told = asdict(facts) | {name: [dict(each) for each in getattr(facts, name)] for name in ("inputs", "files")}
    bundle = told | {
        "schema": BUNDLE_SCHEMA,
        "facts_sha256": fact_hashes(told),
        "statements": [{key: value for key, value in each.items() if key != "proof"} for each in ranked],
        "statement_sha256": [each.sha256 for each in pieces],
        "leaves": [each.hex() for each in hashes],
        "root": root,
        "tree_size": size,
        "public_key": public_key(private_pem),
        "head_signature": sign(private_pem, tree_head(facts.model_id, facts.period, root, size)),
    }
    return bundle | {"signature": sign(private_pem, signed_part(bundle))}


def with_proofs(bundle: Mapping[str, Any], statements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The statements, in the given order, each with the `proof` that it is part of the bundle.

    Raises:
        ProofError: a statement that the bundle does not hold with just this content.
    """
    tree = MerkleTree([bytes.fromhex(leaf) for leaf in bundle["leaves"]])
    first, places = 0, {}
    for own, sha256 in zip(bundle["statements"], bundle["statement_sha256"], strict=True):
        places[own["statement_id"], sha256] = first, 1 + len(own["lines"])
        first += 1 + len(own["lines"])
    return [
        dict(statement) | {"proof": _proof(bundle, tree, *_place(places, statement))} for statement in statements
    ]


def tree_head(model_id: str, period: str, root: str, tree_size: int) -> bytes:
    """What `head_signature`, the signature of a single statement's proof, is over."""
    head = {"model_id": model_id, "period": period, "root": root, "tree_size": tree_size}
    return canonical_json(head | {"schema": _HEAD_SCHEMA})


def signed_part(bundle: Mapping[str, Any]) -> bytes:
    """What `signature` is over: all of a bundle but both signatures and the statements."""
    return canonical_json({key: value for key, value in bundle.items() if key not in _UNSIGNED})


def fact_hashes(bundle: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of each fact, by which a reader of a changed bundle learns which one was changed."""
    return {fact: hashlib.sha256(canonical_json({fact: bundle[fact]})).hexdigest() for fact in FACTS}


def _check(facts: BundleFacts, ranked: Sequence[Mapping[str, Any]]) -> None:
    of_period = (facts.model_id, facts.period, "final")
    for index, statement in enumerate(ranked):
        name = statement["statement_id"]
        got = (statement["model_id"], statement["period"], statement["status"])
        if got != of_period:
            raise ProofError(f"Statement {name} is of {got}, the bundle of {of_period}. Bundle its own period")
        if index and ranked[index - 1]["statement_id"] == name:
            raise ProofError(f"Statement {name} is given twice. Give every statement of the period once")


def _place(places: Mapping[tuple[str, str], tuple[int, int]], statement: Mapping[str, Any]) -> tuple[int, int]:
    key = statement["statement_id"], pieces_of(statement).sha256
    if key not in places:
        raise ProofError(f"Statement {key[0]} is not in the bundle with this content. Take it from the bundle")
    return places[key]


def _proof(bundle: Mapping[str, Any], tree: MerkleTree, first: int, count: int) -> dict[str, Any]:
    return {
        "schema": PROOF_SCHEMA,
        "tree_size": bundle["tree_size"],
        "first_leaf": first,
        "hashes": [each.hex() for each in tree.range_proof(first, count)],
        "root": bundle["root"],
        "period": bundle["period"],
        "signature": bundle["head_signature"],
        "public_key": bundle["public_key"],
    }
