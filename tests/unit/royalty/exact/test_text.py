"""Decimals and fractions as text."""

import itertools
from decimal import Decimal
from fractions import Fraction

import pytest

from tribute.errors import MoneyError
from tribute.royalty.exact.text import NatsText, percent, plain, short, total


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.500", "1.5"), ("-0.0", "0"), ("100", "100"), ("1E+3", "1000"), ("-2E-7", "-0.0000002"), ("0E-9", "0")],
)
def test_decimals_are_written_in_full(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(MoneyError, match="NaN cannot be printed on a statement"):
        plain(Decimal("NaN"))


def test_percent_has_four_decimals() -> None:
    assert [percent(Fraction(*f)) for f in ((1, 3), (1, 1), (0, 1), (1, 10**9))] == [
        "33.3333",
        "100.0000",
        "0.0000",
        "0.0000",
    ]


def test_sums_are_exact_in_any_order() -> None:
    values = [Decimal("1e20"), Decimal("1e-20"), Decimal("-1e20"), Decimal("3e-25")]
    assert {total(order) for order in itertools.permutations(values)} == {Decimal("1.00003e-20")}


def test_a_page_shows_the_same_decimals_everywhere() -> None:
    nats = NatsText([Decimal("30.5"), Decimal("-2.25")])
    assert [nats(value) for value in ("30.5", "-2.25", "-0.001", "1234.5678")] == [
        "30.50",
        "−2.25",
        "0.00",
        "1,234.57",
    ]
    assert NatsText([])("0") == "0.000"
    assert NatsText([Decimal("123456.7")])("123456.7") == "123,457"


def test_long_labels_keep_their_ends() -> None:
    assert short("x" * 50 + "-1", 20) != short("x" * 50 + "-2", 20)
    assert len(short("x" * 50, 20)) == 20
