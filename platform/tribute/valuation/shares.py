"""Exact shares from publishers' values. Floats become exact numbers here and nowhere else."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

SIGNIFICANT_DIGITS = 9
"""Digits of a measured number that shares are computed from and that statements show."""


def exact(value: float) -> Decimal:
    """A measured number, rounded as statements show it and as shares are computed from it."""
    return Decimal(f"{value:.{SIGNIFICANT_DIGITS}g}")


def payable_shares(values: Mapping[str, Fraction], fallback: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Non-negative shares that sum to exactly 1.

    A publisher's signed value, summed over its sources and the period, is clipped at 0. Lines are not clipped: one
    source's harm counts against another's help. If no publisher's value is positive, the result is the fallback,
    the token-count shares.
    """
    total = sum((value for value in values.values() if value > 0), Fraction(0))
    if not total:
        return dict(fallback)
    return {publisher: max(value, Fraction(0)) / total for publisher, value in values.items()}
