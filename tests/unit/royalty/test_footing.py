"""Statements that do not add up never leave the house."""

import pytest

from tests.golden.statement_cases import settled
from tribute.errors import MoneyError
from tribute.royalty import Money, check_period


def test_a_whole_period_foots() -> None:
    assert check_period(settled("jpy")) == Money(1_000_001, "JPY")


def test_what_does_not_foot_is_told() -> None:
    with pytest.raises(
        MoneyError, match=r"sum to 1,666\.67 EUR, the pool is 10,000\.00 EUR\. Pass all statements"
    ):
        check_period(settled("eur")[1:])
    with pytest.raises(MoneyError, match="statements of one settlement"):
        check_period(settled("eur") + settled("kwd"))
    with pytest.raises(MoneyError, match="statements of one settlement"):
        check_period([])
    changed = settled("eur")
    changed[0]["lines"][0]["amount_minor"] += 1
    with pytest.raises(
        MoneyError, match="Lines of demo-2026-10-aurora-v1 sum to 833334, the statement says 833333"
    ):
        check_period(changed)
