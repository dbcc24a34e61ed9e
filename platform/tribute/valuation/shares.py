"""From publishers' values to exact shares: the one place where floats become exact numbers."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

DIGITS = 9
"""Significant digits of a measured number that money rests on, and that statements show."""


def exact(value: float) -> Decimal:
    """A measured number as statements show it, and as shares are computed from it."""
    return Decimal(f"{value:.{DIGITS}g}")


def payable_shares(values: Mapping[str, Fraction], fallback: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Non-negative shares that sum to exactly 1.

    A publisher's signed value, summed over its sources and the period, is clipped at 0 (never per line: harm
    of one source counts against the help of another). If no publisher's value is positive, the fallback (the
    token-count shares) is paid.
    """
    total = sum((value for value in values.values() if value > 0), Fraction(0))
    if not total:
        return dict(fallback)
    return {publisher: max(value, Fraction(0)) / total for publisher, value in values.items()}
