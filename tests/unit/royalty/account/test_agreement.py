"""Terms that make sense, and which of them are in force."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from tribute.errors import MoneyError
from tribute.royalty.account.agreement import Agreement, agreement_of

OLD = Agreement("p", "EUR", "old", Fraction(1, 2), valid_to=date(2026, 10, 1))
NEW = Agreement("p", "EUR", "new", Fraction(2, 3), valid_from=date(2026, 10, 1))


def test_the_agreement_in_force_is_found() -> None:
    assert agreement_of([NEW, OLD], "p", "EUR", "2026-09") is OLD
    assert agreement_of([NEW, OLD], "p", "EUR", "2026-10") is NEW


def test_without_an_agreement_all_is_paid_each_month() -> None:
    assert agreement_of([NEW, OLD], "p", "USD", "2026-09") == Agreement("p", "USD")
    standard = agreement_of([], "q", "EUR", "2026-09")
    assert (standard.agreement_id, standard.rate, standard.accounting_period) == ("standard", 1, "month")


def test_two_agreements_in_force_are_refused() -> None:
    with pytest.raises(MoneyError, match=r"p has 2 agreements in EUR in 2026-11: more and new. End one"):
        agreement_of([NEW, Agreement("p", "EUR", "more")], "p", "EUR", "2026-11")


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"rate": Fraction(3, 2)}, "Agreement standard of p: rate is 3/2. It must be an exact part from 0 to 1"),
        ({"rate": 0.5}, "rate is 0.5. It must be an exact part"),
        ({"threshold_minor": -1}, "threshold_minor is -1. It must be a whole number"),
        ({"guarantee_minor": True}, "guarantee_minor is True"),
        ({"advances": (("2026-01", -5),)}, "advance of 2026-01 is -5"),
        ({"accounting_period": "week"}, "accounting_period is week. It must be one of month, quarter, year"),
        ({"reserve_rate": Fraction(1, 10)}, "reserve_months is 0. It must be the months after which"),
        ({"valid_from": date(2026, 1, 15)}, "It must be the first day of a month, such as 2026-01-01"),
        ({"valid_from": date(2026, 2, 1), "valid_to": date(2026, 2, 1)}, "a month after valid_from 2026-02-01"),
        ({"currency": "EURO"}, "Currency 'EURO' is not an ISO 4217 code"),
    ],
)
def test_impossible_terms_are_refused(terms: dict[str, Any], told: str) -> None:
    with pytest.raises(MoneyError) as raised:
        Agreement(**{"publisher_id": "p", "currency": "EUR", **terms})
    assert told in str(raised.value)
