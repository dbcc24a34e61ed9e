"""Accounts by hand: each rule of a balance once, in minor units."""

from dataclasses import replace
from fractions import Fraction

import pytest
from pydantic import ValidationError

from tribute.errors import ConfigError, MoneyError
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import balance, recounted
from tribute.royalty.document import AccountState, Adjustment

PLAIN = Agreement("p", "EUR")


def test_without_terms_all_is_paid_at_once() -> None:
    told = balance(PLAIN, AccountState(), "2026-10", 1234)
    assert (told.amount_paid_minor, told.account) == (1234, AccountState())


def test_an_advance_is_recouped_before_anything_is_paid() -> None:
    """Granted 1,000; earns 600 and 700 at half of what is allocated: 600 + 400 recouped, 300 paid."""
    terms = replace(PLAIN, rate=Fraction(1, 2), advances=(("2026-01", 1000), ("2027-01", 1)))
    first = balance(terms, AccountState(), "2026-01", 1200)
    assert (first.advance_granted_minor, first.advance_recouped_minor, first.amount_paid_minor) == (1000, 600, 0)
    second = balance(terms, first.account, "2026-02", 1400)
    assert (second.advance_granted_minor, second.advance_recouped_minor, second.amount_paid_minor) == (0, 400, 300)
    assert (first.unrecouped_advance_minor, second.unrecouped_advance_minor) == (400, 0)


@pytest.mark.parametrize("threshold", [0, 200])
def test_what_was_carried_below_a_threshold_is_not_recouped_from(threshold: int) -> None:
    """60 earned repay the advance of 1,000, 40 a month are topped up: 480 in a year, whatever the threshold."""
    terms = replace(PLAIN, guarantee_minor=100, threshold_minor=threshold, advances=(("2026-01", 1000),))
    account, paid = AccountState(), 0
    for month in range(1, 13):
        told = balance(terms, account, f"2026-{month:02d}", 60)
        account, paid = told.account, paid + told.amount_paid_minor
    assert paid + account.balance_minor == 480
    assert (paid, account.unrecouped_minor) == (480 if threshold == 0 else 400, 1000 - 12 * 60)


def test_what_is_overdrawn_is_made_good_before_an_advance_is_recouped() -> None:
    told = balance(PLAIN, AccountState(balance_minor=-30, unrecouped_minor=1000), "2026-01", 100)
    assert (told.advance_recouped_minor, told.account) == (70, AccountState(balance_minor=0, unrecouped_minor=930))


def test_a_restated_balance_tells_what_is_earned_and_moves_nothing() -> None:
    terms = replace(
        PLAIN, rate=Fraction(1, 2), guarantee_minor=900, advances=(("2026-01", 70),), reserve_rate=Fraction(1, 2),
        reserve_months=1, withholding_rate=Fraction(1, 4),
    )  # fmt: skip
    told = recounted(terms, 201)
    moved = {name: value for name, value in told.plain().items() if value and name != "account"}
    assert moved == {
        "royalty_allocated_minor": 201, "royalty_rate": "1/2", "royalty_earned_minor": 100,
        "withholding_tax_rate": "1/4",
    }  # fmt: skip
    assert told.account == AccountState()
    with pytest.raises(MoneyError, match="p is allocated -1"):
        recounted(terms, -1)


def test_rates_round_half_to_even() -> None:
    half = replace(PLAIN, rate=Fraction(1, 2), withholding_rate=Fraction(1, 4))
    told = [balance(half, AccountState(), "2026-01", allocated) for allocated in (1, 3, 12)]
    assert [each.royalty_earned_minor for each in told] == [0, 2, 6]
    assert [(each.withholding_tax_minor, each.amount_paid_minor) for each in told[1:]] == [(0, 2), (2, 4)]


def test_less_than_the_threshold_is_carried_forward() -> None:
    terms = replace(PLAIN, threshold_minor=100)
    first = balance(terms, AccountState(), "2026-01", 99)
    assert (first.amount_paid_minor, first.carried_forward_minor, first.account.balance_minor) == (0, 99, 99)
    second = balance(terms, first.account, "2026-02", 1)
    assert (second.opening_balance_minor, second.amount_paid_minor, second.account.balance_minor) == (99, 100, 0)


def test_a_guarantee_is_topped_up_once_at_the_end_of_the_accounting_period() -> None:
    """Of 900 a quarter, 200 + 300 + 100 are earned: 300 more in March; the next quarter begins at 0."""
    terms = replace(PLAIN, guarantee_minor=900, accounting_period="quarter")
    account, shortfalls, paid = AccountState(), [], []
    for month, allocated in (("2026-01", 200), ("2026-02", 300), ("2026-03", 100), ("2026-04", 50)):
        told = balance(terms, account, month, allocated)
        account = told.account
        shortfalls.append(told.minimum_guarantee_shortfall_minor)
        paid.append(told.amount_paid_minor)
    assert (shortfalls, paid, account) == (
        [0, 0, 300, 0],
        [0, 0, 900, 0],
        AccountState(balance_minor=50, earned_minor=50),
    )


def test_corrections_of_the_running_accounting_period_count_towards_its_guarantee() -> None:
    """900 a quarter. February: 300 earned and 100 more for January. March: 200 + 300 + 100 + 50 leave 250."""
    terms = replace(PLAIN, guarantee_minor=900, accounting_period="quarter")
    january = balance(terms, AccountState(), "2026-01", 200)
    moved = [
        Adjustment(reason="recount", adjusts_statement_id="p-v1", amount_minor=100, running=True),
        Adjustment(reason="of last year", adjusts_statement_id="p-v0", amount_minor=7),
    ]
    february = balance(terms, january.account, "2026-02", 300, moved)
    assert february.accounting_period_earned_minor == february.account.earned_minor == 600
    march = balance(terms, february.account, "2026-03", 50)
    assert (march.accounting_period_earned_minor, march.minimum_guarantee_shortfall_minor) == (650, 250)
    assert february.plain()["adjustments"] == [
        {"reason": "recount", "adjusts_statement_id": "p-v1", "amount_minor": 100, "running": True},
        {"reason": "of last year", "adjusts_statement_id": "p-v0", "amount_minor": 7},
    ]


def test_an_accounting_period_begins_with_its_first_month_whatever_was_earned_before() -> None:
    """Two months of a quarter, then an agreement by the month: March has its own guarantee."""
    terms = replace(PLAIN, guarantee_minor=100)
    march = balance(terms, AccountState(balance_minor=500, earned_minor=500), "2026-03", 60)
    assert (march.accounting_period_earned_minor, march.minimum_guarantee_shortfall_minor) == (60, 40)


def test_a_reserve_is_released_months_later() -> None:
    terms = replace(PLAIN, reserve_rate=Fraction(1, 10), reserve_months=2)
    account, told = AccountState(), []
    for month in ("2026-11", "2026-12", "2027-01"):
        told.append(balance(terms, account, month, 1000))
        account = told[-1].account
    assert [each.reserve_released_minor for each in told] == [0, 0, 100]
    assert [each.amount_paid_minor for each in told] == [900, 900, 1000]
    assert account.reserves == (("2026-12", 100), ("2027-01", 100))
    ended = balance(PLAIN, account, "2027-02", 0)
    assert (ended.reserve_released_minor, ended.account.reserves) == (200, ()), "no reserve outlives its agreement"


def test_a_reserve_is_not_held_of_what_is_recouped() -> None:
    terms = replace(PLAIN, reserve_rate=Fraction(1, 2), reserve_months=6)
    told = balance(terms, AccountState(unrecouped_minor=900), "2026-01", 1000)
    assert (told.advance_recouped_minor, told.reserve_held_minor, told.amount_paid_minor) == (900, 50, 50)


def test_a_negative_balance_is_carried_and_never_asked_back() -> None:
    wrong = Adjustment(reason="double count", adjusts_statement_id="demo-2026-09-p-v1", amount_minor=-500)
    told = balance(replace(PLAIN, advances=(("2026-10", 70),)), AccountState(), "2026-10", 200, [wrong])
    assert (told.prior_period_adjustment_minor, told.payable_before_tax_minor) == (-500, -300)
    assert (told.advance_recouped_minor, told.amount_paid_minor, told.account) == (
        0,
        0,
        AccountState(balance_minor=-300, unrecouped_minor=70),
    )


def test_rates_and_reserves_are_exact_in_the_balance() -> None:
    terms = replace(
        PLAIN, rate=Fraction(1, 3), reserve_rate=Fraction(1, 10), reserve_months=3, threshold_minor=10**6
    )
    told = balance(terms, AccountState(balance_minor=5, unrecouped_minor=6), "2026-10", 3000)
    assert (told.royalty_rate, told.withholding_tax_rate) == ("1/3", "0")
    assert told.account.reserves == (("2026-10", 99),)


def test_what_is_no_whole_amount_is_refused() -> None:
    with pytest.raises(MoneyError, match=r"p is allocated 1.5. Allocate whole minor units"):
        balance(PLAIN, AccountState(), "2026-10", 1.5)  # type: ignore[arg-type]
    with pytest.raises(MoneyError, match=r"p is allocated -1. Allocate .* pass corrections as adjustments"):
        balance(PLAIN, AccountState(), "2026-10", -1)
    with pytest.raises(ConfigError, match="is not a month"):
        balance(PLAIN, AccountState(), "October", 1)
    with pytest.raises(ValidationError, match="unrecouped_minor"):
        AccountState(unrecouped_minor=-1)
