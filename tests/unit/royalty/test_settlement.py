"""A pool over publishers, an amount over sources."""

from decimal import Decimal
from fractions import Fraction

import pytest

from tribute.errors import MoneyError
from tribute.royalty import Money, settle, split_lines


def test_publishers_are_paid_in_the_currency_of_the_pool() -> None:
    paid = settle(Money(1000, "KWD"), {"a": Fraction(2, 3), "b": Fraction(1, 3)})
    assert paid == {"a": Money(667, "KWD"), "b": Money(333, "KWD")}


def test_harmful_sources_get_nothing() -> None:
    weights = {"good": Decimal("3"), "fair": Decimal("1"), "bad": Decimal("-9"), "none": Decimal(0)}
    assert split_lines(Money(101, "EUR"), weights) == {"good": 76, "fair": 25, "bad": 0, "none": 0}


def test_without_a_positive_weight_the_parts_are_equal() -> None:
    assert split_lines(Money(5, "EUR"), {"a": Decimal(0), "b": Decimal(-1)}) == {"a": 3, "b": 2}


def test_nothing_over_nothing() -> None:
    assert split_lines(Money(0, "EUR"), {}) == {}
    assert split_lines(Money(0, "EUR"), {"a": Decimal(1)}) == {"a": 0}
    with pytest.raises(MoneyError, match="no source to stand on"):
        split_lines(Money(1, "EUR"), {})
