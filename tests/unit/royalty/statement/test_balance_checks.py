"""Statements that do not add up are refused."""

import pytest

from tests.statements import account, draft, drafts, revised
from tribute.errors import MoneyError
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import recounted
from tribute.royalty.exact.money import Money
from tribute.royalty.statement.balance_checks import check_period, check_statement


def test_a_whole_period_foots_in_every_pool_and_currency() -> None:
    statements = drafts(main=1_000_000, licences=37) + drafts("JPY", main=1_000_001) + drafts("KWD", gulf=9)
    assert check_period(statements) == {
        ("main", "EUR"): Money(1_000_000, "EUR"),
        ("licences", "EUR"): Money(37, "EUR"),
        ("main", "JPY"): Money(1_000_001, "JPY"),
        ("gulf", "KWD"): Money(9, "KWD"),
    }


def test_a_missing_or_doubled_statement_is_told() -> None:
    with pytest.raises(MoneyError, match=r"pay 2,083\.33 EUR of pool main, which is 10,000\.00 EUR\. Pass all"):
        check_period(drafts()[1:])
    with pytest.raises(MoneyError, match="Publisher aurora has two statements in EUR"):
        check_period([*drafts(), draft()])
    with pytest.raises(MoneyError, match="statements of one settlement"):
        check_period([])
    with pytest.raises(MoneyError, match="statements of one settlement"):
        check_period([*drafts()[1:], draft(value_run="value-of-another-day")])


def test_money_moved_between_pools_is_told() -> None:
    first, *others = drafts(main=1_000_000, licences=37)
    with pytest.raises(MoneyError, match=r"of pool main, which is 10,000\.00 EUR"):
        check_period([revised(first, {"lines.0.pool_id": "licences"}), *others])
    with pytest.raises(MoneyError, match="lines of pool elsewhere, which it does not list"):
        check_period([revised(first, {"lines.0.pool_id": "elsewhere"}), *others])


def test_statements_must_agree_on_a_pool() -> None:
    *others, last = drafts()
    with pytest.raises(MoneyError, match=r"has 0\.05 EUR in pool main, others do not"):
        check_period([*others, revised(last, {"pools.0.pool_amount_minor": 5})])


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("opening_balance_minor", "account before tax 791668, it says 791667"),
        ("advance_recouped_minor", "account before tax 791666, it says 791667"),
        ("royalty_allocated_minor", "allocated royalty 791667, it says 791668"),
        ("amount_paid_minor", "closing balance -1, it says 0"),
        ("closing_balance_minor", "closing balance 0, it says 1"),
    ],
)
def test_an_account_that_does_not_lead_to_its_closing_balance_is_told(field: str, told: str) -> None:
    statement = draft(balance=account(791_667))
    check_statement(statement)
    with pytest.raises(MoneyError, match=f"aurora-EUR-v1 does not add up: {told}"):
        check_statement(revised(statement, {f"balance.{field}": getattr(statement.balance, field) + 1}))


def test_lines_that_do_not_sum_are_told() -> None:
    changed = revised(draft(), {"lines.0.amount_minor": draft().lines[0].amount_minor + 1})
    with pytest.raises(MoneyError, match="does not add up: lines 791668, it says 791667"):
        check_statement(changed)


def test_a_restated_statement_moves_no_account() -> None:
    """7,916.67 earned and nothing payable holds where a closed period is restated, and only there."""
    again = draft(balance=recounted(Agreement("aurora", "EUR"), 791_667))
    check_statement(revised(again, {"restates_statement_version": 1}))
    with pytest.raises(MoneyError, match="account before tax 791667, it says 0"):
        check_statement(again)
    with pytest.raises(MoneyError, match="account before tax 0, it says 791667"):
        check_statement(draft(restates_statement_version=1))
