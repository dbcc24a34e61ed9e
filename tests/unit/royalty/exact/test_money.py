"""Money is read, printed and divided exactly; the rest is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest

from tribute.errors import MoneyError
from tribute.royalty.exact import Money, allocate, parse_money


@pytest.mark.parametrize(
    ("amount", "currency", "minor", "text"),
    [
        ("10000.00", "EUR", 1_000_000, "10,000.00 EUR"),
        ("10000", "EUR", 1_000_000, "10,000.00 EUR"),
        ("0.1", "EUR", 10, "0.10 EUR"),
        ("1500", "JPY", 1500, "1,500 JPY"),
        ("3210.987", "KWD", 3_210_987, "3,210.987 KWD"),
        ("0", "USD", 0, "0.00 USD"),
    ],
)
def test_amounts_read_and_print(amount: str, currency: str, minor: int, text: str) -> None:
    money = parse_money(amount, currency)
    assert (money.minor, money.text()) == (minor, text)
    assert money.decimal() == Decimal(amount)


def test_large_amounts_lose_no_digit() -> None:
    """The default decimal context holds fewer digits; the lake holds 64 bits."""
    amount = "9999999999999999.07"
    assert str(parse_money(amount, "EUR").decimal()) == amount
    assert (
        Money(int("1234567890" * 4), "EUR").text().replace(",", "")
        == "12345678901234567890123456789012345678.90 EUR"
    )
    for above in ("10000000000000000.01", "1" * 30, "1" * 5000):
        with pytest.raises(MoneyError, match=r"is above 10000000000000000.00|not a plain decimal"):
            parse_money(above, "EUR")
    assert Money(-5, "EUR").text() == "-0.05 EUR"


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [
        ("10.005", "EUR", "'10.005' has 3 decimals, EUR has 2"),
        ("10.00", "JPY", "JPY has 0. Write it with at most 0"),
        ("-1", "EUR", "'-1' is negative"),
        ("1e3", "EUR", "'1e3' is not a plain decimal number. Write it as 10000.00"),
        ("10,000", "EUR", "digits and a point only"),
        ("NaN", "EUR", "not a plain decimal number"),
        ("1", "EUO", "'EUO' is not an ISO 4217 code. Did you mean"),
        ("1", "eur", "Did you mean EUR"),
        ("1", "?", "Write three letters"),
        ("1", "XAU", "XAU has no minor unit"),
    ],
)
def test_bad_amounts_are_told_with_a_remedy(amount: str, currency: str, told: str) -> None:
    with pytest.raises(MoneyError) as raised:
        parse_money(amount, currency)
    assert told in str(raised.value)


def test_ties_go_to_the_smaller_id() -> None:
    third = Fraction(1, 3)
    assert allocate(100, {"c": third, "b": third, "a": third}) == {"c": 33, "b": 33, "a": 34}


def test_a_larger_pool_can_cost_one_unit() -> None:
    """The Alabama paradox, which the policy's text admits."""
    shares = {"a": Fraction(6, 14), "b": Fraction(6, 14), "c": Fraction(2, 14)}
    assert allocate(10, shares) == {"a": 4, "b": 4, "c": 2}
    assert allocate(11, shares) == {"a": 5, "b": 5, "c": 1}


@pytest.mark.parametrize(
    ("pool", "shares", "told"),
    [
        (10, {"a": Fraction(1, 2), "b": Fraction(1, 3)}, "2 shares sum to 5/6, not to 1"),
        (10, {}, "0 shares sum to 0"),
        (10, {"a": Fraction(3, 2), "b": Fraction(-1, 2)}, "share of b is -1/2, below 0"),
        (10, {"a": 0.5, "b": 0.5}, "share of a is not exact"),
        (-1, {"a": Fraction(1)}, "-1 minor units"),
    ],
)
def test_what_cannot_be_divided_is_refused(pool: int, shares: dict[str, Fraction], told: str) -> None:
    with pytest.raises(MoneyError) as raised:
        allocate(pool, shares)
    assert told in str(raised.value)
