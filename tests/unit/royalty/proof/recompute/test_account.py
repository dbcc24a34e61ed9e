"""An account alone: of a version that closes a period, and of one that restates it."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from tests.statements import RECOUNTED, settled, statements
from tests.unit.royalty.proof.forger import Plain, plain
from tribute.royalty.document import AccountState, Statement
from tribute.royalty.proof.recompute.account import account_problems

NOTHING = {"reason": "r", "adjusts_statement_id": "s", "amount_minor": 0}
Change = Callable[[Plain], object]


def restated() -> Plain:
    """Borealis in a version that restates November; it has a guarantee and a rate."""
    return plain(settled("2026-11", values=RECOUNTED, version=2))[1]


def closing() -> Plain:
    """Borealis in the version that closes November."""
    return plain(settled("2026-11"))[1]


def places(statement: Plain) -> list[str]:
    return [each.place for each in account_problems(Statement.model_validate(statement))]


def test_a_restated_balance_has_what_is_earned_and_nothing_else() -> None:
    again = restated()
    assert (again["balance"]["royalty_earned_minor"], places(again)) == (180_000, [])
    assert places(closing()) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        *((lambda s, name=name: s["balance"].update({name: 1}), f"balance.{name}") for name in (
            "opening_balance_minor", "prior_period_adjustment_minor", "accounting_period_earned_minor",
            "advance_granted_minor", "advance_recouped_minor", "minimum_guarantee_shortfall_minor",
            "reserve_held_minor", "reserve_released_minor", "payable_before_tax_minor", "withholding_tax_minor",
            "amount_paid_minor", "carried_forward_minor", "closing_balance_minor", "unrecouped_advance_minor",
            "royalty_allocated_minor", "royalty_earned_minor",
        )),
        (lambda s: s["balance"]["adjustments"].append(NOTHING), "balance.adjustments"),
        (lambda s: s["balance"]["account"].update(balance_minor=5), "balance.account"),
        (lambda s: s["balance"].update(royalty_rate="1"), "balance.royalty_rate"),
        (lambda s: s.update(restates_statement_version=2), "restates_statement_version"),
        (lambda s: s.update(restates_statement_version=None), "supersedes_statement_id"),
        (lambda s: s.update(restates_statement_version=None), "balance.payable_before_tax_minor"),
        (lambda s: s.update(status="draft"), "status"),
    ],
)  # fmt: skip
def test_a_restated_statement_that_moves_anything_is_named(change: Change, place: str) -> None:
    again = restated()
    change(again)
    assert place in places(again)


def test_a_version_that_closes_a_period_may_not_leave_its_account_out() -> None:
    statement = closing() | {"balance": restated()["balance"]}
    statement["balance"]["royalty_allocated_minor"] = statement["amount_minor"]
    assert "balance.payable_before_tax_minor" in places(statement)


@pytest.mark.parametrize("recouped", [0, 900, 2_000])
def test_an_advance_is_recouped_from_what_the_month_brings_and_not_from_what_was_carried(recouped: int) -> None:
    """1,000 are earned, 5,000 were carried and 9,000 are unrecouped: 1,000, no more and no less."""
    terms = {"a": {"threshold_minor": 10**9, "reserve_rate": Fraction(1, 2), "reserve_months": 1}}
    openings = {("a", "EUR"): AccountState(balance_minor=5_000, unrecouped_minor=9_000)}
    [statement] = plain(statements("2026-10", ["a"], 1, [("EUR", "pool", 2_000)], terms, openings))
    b = statement["balance"]
    assert (b["advance_recouped_minor"], b["reserve_held_minor"], places(statement)) == (1_000, 0, [])
    b["advance_recouped_minor"] = recouped
    assert "balance.advance_recouped_minor" in places(statement)
