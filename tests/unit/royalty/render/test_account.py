"""The account as rows, and the sentence that explains why the paid amount differs from the allocated one."""

from fractions import Fraction
from typing import Any

import pytest

from tests.statements import account, draft, history, revised
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import recounted
from tribute.royalty.document import AccountState, Adjustment, Statement
from tribute.royalty.render.account import account_rows, why_paid_differs


def with_account(terms: dict[str, Any] | None = None, allocated: int = 791_667, **changes: Any) -> Statement:
    """Aurora's statement with another account and other terms."""
    other = {f"agreement.{name}": value for name, value in (terms or {}).items()}
    return revised(draft(balance=account(allocated, **changes)), other)


def test_a_plain_account_has_four_rows_and_needs_no_reason() -> None:
    rows = account_rows(draft())
    assert [(row.label, row.amount) for row in rows] == [
        ("Opening balance, from the period before", "0.00 EUR"),
        ("Earned by your sources", "7,916.67 EUR"),
        ("Paid to you", "7,916.67 EUR"),
        ("Closing balance", "0.00 EUR"),
    ]
    assert why_paid_differs(draft()) == ""


def test_every_row_stands_in_the_order_of_the_industry() -> None:
    corrections = [
        Adjustment(reason="counted\ntwice", adjusts_statement_id="demo-2026-11-v1", amount_minor=-1_234)
    ]
    full = with_account(
        opening_balance_minor=1_250, royalty_rate="7/10", adjustments=corrections, advance_granted_minor=10_000,
        advance_recouped_minor=300_000, minimum_guarantee_shortfall_minor=5, reserve_held_minor=50_000,
        reserve_released_minor=7, withholding_tax_rate="3/20", unrecouped_advance_minor=99_900,
        account=AccountState(reserves=(("2026-12", 50_000),)),
    )  # fmt: skip
    rows = account_rows(full)
    assert [(row.label.split(":")[0], row.amount, row.kind) for row in rows] == [
        ("Opening balance, from the period before", "12.50 EUR", "sum"),
        ("Allocated to your sources", "7,916.67 EUR", "aside"),
        ("Earned, 70% of what is allocated", "5,541.67 EUR", "sum"),
        ("Correction of an earlier period", "−12.34 EUR", "sum"),
        ("Advance granted (paid to you apart)", "100.00 EUR", "aside"),
        ("Advance repaid from what you earned", "−3,000.00 EUR", "sum"),
        ("Added to reach your guaranteed minimum", "0.05 EUR", "sum"),
        ("Held in reserve", "−500.00 EUR", "sum"),
        ("Released from reserve", "0.07 EUR", "sum"),
        ("Balance before tax and payment", "2,041.95 EUR", "result"),
        ("Withholding tax, 15%", "−306.29 EUR", "sum"),
        ("Paid to you", "1,735.66 EUR", "result"),
        ("Closing balance", "0.00 EUR", "result"),
        ("Advance still to be repaid from earnings", "999.00 EUR", "aside"),
        ("Reserve held for you in all", "500.00 EUR", "aside"),
    ]
    assert "counted twice (statement demo-2026-11-v1)" in rows[3].label


def test_a_restated_statement_tells_what_is_earned_and_no_payment() -> None:
    terms = Agreement("aurora", "EUR", rate=Fraction(1, 2), guarantee_minor=10**6)
    again = draft(balance=recounted(terms, 791_667), statement_version=2, restates_statement_version=1)
    assert account_rows(again) == [
        ("Allocated to your sources", "7,916.67 EUR", "aside"),
        ("Earned, 50% of what is allocated", "3,958.34 EUR", "sum"),
        ("Paid by this statement", "0.00 EUR", "result"),
    ]
    assert why_paid_differs(again) == ""


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            with_account(advance_recouped_minor=300_000),
            "What is paid is not the 7,916.67 EUR allocated, because 3,000.00 EUR repays your advance.",
        ),
        (
            with_account(royalty_rate="1/2", withholding_tax_rate="1/10"),
            "What is paid is not the 7,916.67 EUR allocated, because your agreement pays 50% of it (3,958.34 EUR) "
            "and 395.83 EUR of tax is withheld.",
        ),
        (
            with_account({"threshold_minor": 1_000_000}, pays=False),
            "Nothing of the 7,916.67 EUR allocated is paid, because 7,916.67 EUR is below your minimum payout of "
            "10,000.00 EUR and is carried forward.",
        ),
        (
            revised(with_account({"accounting_period": "quarter"}, pays=False), {"period": "2026-11"}),
            "Nothing of the 7,916.67 EUR allocated is paid, because your agreement pays at the end of each "
            "quarter, until then 7,916.67 EUR is kept.",
        ),
        (
            with_account(opening_balance_minor=-800_000),
            "Nothing of the 7,916.67 EUR allocated is paid, because 8,000.00 EUR of earlier periods is taken off "
            "and the balance of −83.33 EUR is below zero: it is carried forward and you are never asked to pay it."
            "",
        ),
        (
            with_account(opening_balance_minor=50, reserve_held_minor=50),
            "What is paid equals the 7,916.67 EUR allocated, although 0.50 EUR is brought forward from before and "
            "0.50 EUR is held in reserve.",
        ),
        (
            with_account(allocated=0, minimum_guarantee_shortfall_minor=5_000),
            "What is paid is not the 0.00 EUR allocated, because 50.00 EUR is added to reach your guaranteed "
            "minimum.",
        ),
    ],
)  # fmt: skip
def test_one_sentence_says_why_the_paid_amount_differs(statement: Statement, told: str) -> None:
    assert why_paid_differs(statement) == told


def test_whenever_the_amounts_differ_there_is_a_reason() -> None:
    """Over three years of random terms, as `balance` accounts for them; every row adds up to its results."""
    for statement in (each for month in history(36, seed=5) for each in month):
        b = statement.balance
        if b.amount_paid_minor != b.royalty_allocated_minor:
            assert why_paid_differs(statement), statement.statement_id
        sums = [row.amount for row in account_rows(statement) if row.kind == "sum" and "tax" not in row.label]
        minors = (int("".join(each for each in text.replace("−", "-") if each in "-0123456789")) for text in sums)
        assert sum(minors) == b.payable_before_tax_minor
