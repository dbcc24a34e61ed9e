"""The bundle of a period: what it holds, what it signs, and the proofs that it gives its statements."""

import copy
from typing import Any

import pytest

from tests.unit.royalty.issued import POLICY, statements
from tribute.errors import MoneyError, ProofError
from tribute.royalty.exact.canonical import canonical_json, statement_sha256
from tribute.royalty.proof.bundle import BundleFacts, build_bundle, leaves_of, signed_part, tree_head, with_proofs
from tribute.royalty.proof.merkle import leaf_hash, root, root_from_range
from tribute.royalty.proof.signing import check, new_key

PEM, PUBLIC = new_key()
INPUT = {"table": "values", "run_ids": ["value-1"], "rows": 3, "sha256": "ab" * 32}
FACTS = BundleFacts("demo", "2026-10", "1.0", POLICY, [INPUT], {"method": "unrolled", "seed": 1})


def test_leaves_are_the_head_and_every_line_with_its_statement() -> None:
    statement = statements()[0]
    head = {key: value for key, value in statement.items() if key != "lines"}
    lines = [{"statement_id": statement["statement_id"], "line": line} for line in statement["lines"]]
    assert leaves_of(statement) == [canonical_json(head), *map(canonical_json, lines)]
    assert leaves_of(statement | {"proof": {"root": "x"}}) == leaves_of(statement)


def test_a_float_has_no_leaf() -> None:
    with pytest.raises(MoneyError, match=r"shrinkage is a float"):
        leaves_of(statements()[0] | {"shrinkage": 0.5})


def test_a_bundle_holds_root_hashes_and_both_signatures() -> None:
    issued = statements()
    bundle = build_bundle(FACTS, issued[::-1], PEM)
    leaves = [leaf for statement in issued for leaf in leaves_of(statement)]
    assert bundle["statements"] == issued
    assert bundle["leaves"] == [leaf_hash(leaf).hex() for leaf in leaves]
    assert bundle["statement_sha256"] == [statement_sha256(statement) for statement in issued]
    assert (bundle["root"], bundle["tree_size"]) == (root(leaves).hex(), len(leaves))
    assert check(PUBLIC, signed_part(bundle), bundle["signature"])
    head = tree_head("demo", "2026-10", bundle["root"], len(leaves))
    assert check(PUBLIC, head, bundle["head_signature"])
    assert canonical_json(build_bundle(FACTS, issued, PEM)) == canonical_json(bundle)


def test_proofs_lead_to_the_root_and_change_no_hash() -> None:
    issued = statements()
    bundle = build_bundle(FACTS, issued, PEM)
    proven = with_proofs(bundle, issued[::-1])
    assert [each["statement_id"] for each in proven] == [each["statement_id"] for each in issued[::-1]]
    for each in proven:
        proof: dict[str, Any] = each["proof"]
        hashes = [bytes.fromhex(text) for text in proof["hashes"]]
        own = [leaf_hash(leaf) for leaf in leaves_of(each)]
        assert root_from_range(own, proof["first_leaf"], proof["tree_size"], hashes).hex() == bundle["root"]
        assert statement_sha256(each) in bundle["statement_sha256"]
    assert build_bundle(FACTS, proven, PEM) == bundle


def test_a_period_without_statements_has_a_bundle() -> None:
    bundle = build_bundle(FACTS, [], PEM)
    assert (bundle["root"], bundle["leaves"], bundle["tree_size"]) == (root([]).hex(), [], 0)


@pytest.mark.parametrize(("key", "value"), [("period", "2026-09"), ("model_id", "other"), ("status", "draft")])
def test_a_statement_of_something_else_is_refused(key: str, value: str) -> None:
    issued = statements()
    with pytest.raises(ProofError, match=f"{issued[1]['statement_id']} is of .*{value}"):
        build_bundle(FACTS, [issued[0], issued[1] | {key: value}], PEM)


def test_a_statement_given_twice_is_refused() -> None:
    with pytest.raises(ProofError, match="given twice"):
        build_bundle(FACTS, [*statements(), statements()[0]], PEM)


def test_another_content_has_no_proof() -> None:
    issued = statements()
    bundle = build_bundle(FACTS, issued, PEM)
    changed = copy.deepcopy(issued[0])
    changed["lines"][0]["amount_minor"] += 1
    with pytest.raises(ProofError, match="not in the bundle with this content"):
        with_proofs(bundle, [changed])
