"""From publishers' values to exact shares: the one place where floats become fractions."""

from collections.abc import Mapping
from fractions import Fraction

UNITS = 10**12
"""Shares are whole multiples of one part in this many of the payable total, before the exact division."""


def payable_shares(values: Mapping[str, float], fallback: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Non-negative shares that sum to exactly 1.

    A publisher's signed value, summed over its sources and the period, is clipped at 0 (never per line: harm
    of one source counts against the help of another). If no publisher's value is positive, the fallback (the
    token-count shares) is paid.
    """
    payable = {publisher: max(value, 0.0) for publisher, value in values.items()}
    total = sum(payable.values())
    units = {publisher: round(value / total * UNITS) if total else 0 for publisher, value in payable.items()}
    if not any(units.values()):
        return dict(fallback)
    return {publisher: Fraction(count, sum(units.values())) for publisher, count in units.items()}
