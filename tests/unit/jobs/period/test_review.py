"""Differences between a draft and a settlement of the present inputs."""

from fractions import Fraction as F
from typing import Any

import pytest

from tests.statements import CERTIFICATE, POOLS, revised, statements
from tribute.errors import MoneyError
from tribute.royalty.document import AccountState, Statement
from tribute_jobs.period.review import changed_inputs, require_reviewed


def made(version: int = 1) -> list[Statement]:
    return [revised(each, {"statement_version": version}) for each in statements("2026-10", ("a", "b"), 1)]


def changed(path: str, value: object) -> list[Statement]:
    """The next version, whose first statement says something else at a place."""
    first, *others = made(2)
    return [revised(first, {path: value}), *others]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("policy.sha256", "0" * 64, "the policy"),
        ("pools.0.gross_revenue_minor", 7, "the pools"),
        ("lines.0.split", "1/9", "the rights"),
        ("publisher_name", "Another", "the rights"),
        ("usage_count", 999, "the values"),
        ("value_run", "value-other", "the values"),
        ("agreement.rate", "1/9", "the agreements"),
        ("balance.advance_granted_minor", 3, "the agreements"),
        ("balance.opening_balance_minor", 3, "the accounts that earlier months left"),
        ("quality_certificate", CERTIFICATE, "the quality certificate"),
        ("share", "1/9", "what this version of tribute writes"),
    ],
)
def test_what_changed_is_named(path: str, value: object, said: str) -> None:
    assert said in changed_inputs(made(), changed(path, value))


def test_other_shares_by_customers_with_nothing_else_changed_are_other_fees() -> None:
    before = made()
    after = [revised(each, {"policy.basis": "user_centric", "share": "1/9"}) for each in made(2)]
    assert changed_inputs(before, after) == ["the fees of customers"]


def idle(**told: Any) -> list[Statement]:
    """The statement of a publisher that has no sources in the month."""
    return statements("2026-10", ("c",), 1, (("EUR", "advertising", 0),), **told)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "the rights"),
        ({"openings": {("c", "EUR"): AccountState(balance_minor=5)}}, "the accounts that earlier months left"),
        ({"adjustments": {("c", "EUR"): (5,)}}, "the accounts that earlier months left"),
        ({"agreements": {"c": {"guarantee_minor": 5}}}, "the agreements"),
        ({"agreements": {"c": {"advances": (("2026-10", 5),)}}}, "the agreements"),
    ],
)
def test_what_gives_a_publisher_without_sources_a_statement_is_named(told: dict[str, Any], said: str) -> None:
    """It stands in the rights book, or earlier months left it something, or an agreement came in force."""
    lone = [revised(each, {"lines": [], "pools": []}) for each in idle(**told)]
    assert changed_inputs(made(), made(2) + lone) == [said]
    assert changed_inputs(made() + lone, made(2)) == [said]


def test_what_falls_due_in_a_currency_without_a_pool_is_of_the_agreements() -> None:
    [due] = statements("2026-10", ("a",), 1, (("USD", "x", 0),), {"a": {"guarantee_minor": 5}})
    due = revised(due, {"lines": [], "pools": []})
    assert changed_inputs(made(), [*made(2), due]) == ["the agreements"]


def test_another_pool_in_another_currency_changes_the_pools_alone() -> None:
    terms = {"a": {"guarantee_minor": 5}}
    before, after = (statements("2026-10", ("a",), 1, pools, terms) for pools in (POOLS[:2], POOLS))
    assert changed_inputs(before, after) == ["the pools"]


def test_a_source_that_is_given_to_somebody_else_changes_the_rights_alone() -> None:
    before, after = (statements("2026-10", (name,), 1) for name in ("a", "b"))
    assert changed_inputs(before, after) == ["the rights"]


@pytest.mark.parametrize(
    "opening",
    [
        AccountState(balance_minor=5),
        AccountState(unrecouped_minor=5),
        AccountState(reserves=(("2026-08", 5),)),
        AccountState(reserves=(("2026-09", 5),)),
        AccountState(earned_minor=5),
    ],
)
def test_all_that_earlier_months_left_is_an_account(opening: AccountState) -> None:
    """Reserves of two months that are released now or kept, and what a running quarter earned."""
    terms = {"a": {"accounting_period": "quarter", "reserve_rate": F(1, 10), "reserve_months": 2}}
    before, after = (
        statements("2026-11", ("a",), 1, agreements=terms, openings={("a", "EUR"): each})
        for each in (AccountState(), opening)
    )
    assert changed_inputs(before, after) == ["the accounts that earlier months left"]


def test_a_draft_that_settling_would_repeat_may_be_closed() -> None:
    require_reviewed(made(), made())
    require_reviewed([revised(each, {"status": "draft"}) for each in made()], made(2))
    with pytest.raises(MoneyError, match=r"draft, version 1: since then, the policy changed.*tribute diff"):
        require_reviewed(made(), changed("policy.sha256", "0" * 64))
