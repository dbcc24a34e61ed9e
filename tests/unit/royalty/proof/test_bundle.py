"""The bundle of a period: what it holds, what it signs, and the proofs that it gives its statements."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.statements import statements
from tests.unit.royalty.proof.forger import facts_of, forged_bundle, forged_statement
from tribute.errors import ProofError
from tribute.royalty.document import BundleFacts
from tribute.royalty.proof.bundle import build_bundle, signed_part, tree_head, with_proofs
from tribute.royalty.proof.merkle import EMPTY_ROOT
from tribute.royalty.proof.signing import check, new_key

PEM, PUBLIC = new_key()
ISSUED = statements()
FACTS = facts_of(ISSUED[0])
BUNDLE = build_bundle(FACTS, ISSUED[::-1], PEM)


def test_a_bundle_and_its_proofs_equal_those_of_an_independent_implementation() -> None:
    plain = forged_bundle(FACTS.plain(), [each.plain() for each in ISSUED], PEM)
    assert BUNDLE.plain() == plain
    proven = with_proofs(BUNDLE, ISSUED[::-1])
    assert [each.plain() for each in proven[::-1]] == [forged_statement(plain, n) for n in range(len(ISSUED))]
    assert build_bundle(FACTS, proven, PEM) == BUNDLE


def test_the_check_that_the_guide_for_publishers_prints_holds() -> None:
    guide = Path(__file__).parents[4] / "docs" / "how-to" / "verify-a-statement.md"
    printed: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)[0], printed)
    for statement in with_proofs(BUNDLE, ISSUED):
        assert printed["is_signed"](statement.plain())
        assert not printed["is_signed"](statement.plain() | {"amount": "1.00 EUR"})


def test_both_signatures_are_the_keys() -> None:
    assert BUNDLE.public_key == PUBLIC
    assert check(PUBLIC, signed_part(BUNDLE), BUNDLE.signature)
    head = tree_head(BUNDLE.model_id, BUNDLE.period, BUNDLE.root, len(ISSUED))
    assert check(PUBLIC, head, BUNDLE.head_signature)


def test_a_period_without_statements_has_a_bundle() -> None:
    bundle = build_bundle(FACTS, [], PEM)
    assert (bundle.root, bundle.leaves, bundle.tree_size) == (EMPTY_ROOT.hex(), (), 0)


@pytest.mark.parametrize(("key", "value"), [("period", "2026-09"), ("model_id", "other"), ("status", "draft")])
def test_a_statement_of_something_else_is_refused(key: str, value: str) -> None:
    other = ISSUED[1].model_copy(update={key: value})
    with pytest.raises(ProofError, match=f"{other.statement_id} is of .*{value}"):
        build_bundle(FACTS, [ISSUED[0], other], PEM)


def test_a_statement_given_twice_is_refused() -> None:
    with pytest.raises(ProofError, match="given twice"):
        build_bundle(FACTS, [*ISSUED, ISSUED[0]], PEM)


def test_another_content_has_no_proof() -> None:
    with pytest.raises(ProofError, match=f"no statement {ISSUED[0].statement_id} with this content"):
        with_proofs(BUNDLE, [ISSUED[0].model_copy(update={"amount_minor": 1})])


def test_facts_are_the_keys_of_a_bundle_with_a_hash() -> None:
    assert set(BundleFacts.model_fields) == set(type(BUNDLE.facts_sha256).model_fields)
