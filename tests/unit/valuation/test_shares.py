"""Exact shares from signed values."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tribute.valuation.shares import exact, payable_shares

EVEN = {"a": Fraction(1, 2), "b": Fraction(1, 2)}


def test_harm_is_clipped_at_the_publisher_and_zero_gets_zero() -> None:
    assert payable_shares({"a": Fraction(3), "b": Fraction(-5)}, EVEN) == {"a": 1, "b": 0}
    assert payable_shares({"a": Fraction(3), "b": Fraction(0)}, EVEN)["b"] == 0


def test_nothing_positive_pays_the_fallback() -> None:
    assert payable_shares({"a": Fraction(-3), "b": Fraction(0)}, EVEN) == EVEN


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.floats(-1e6, 1e6).map(lambda value: Fraction(exact(value))),
        min_size=1,
        max_size=20,
    )
)
def test_shares_are_exact_and_scale_free(values: dict[str, Fraction]) -> None:
    fallback = {key: Fraction(1, len(values)) for key in values}
    shares = payable_shares(values, fallback)
    assert sum(shares.values()) == 1
    assert all(share >= 0 for share in shares.values())
    doubled = payable_shares({key: 2 * value for key, value in values.items()}, fallback)
    assert doubled == shares
