"""A pool over publishers, and a publisher's amount over its sources: both exact to the minor unit."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from tribute.errors import MoneyError
from tribute.royalty.money import Money, allocate


def settle(pool: Money, shares: Mapping[str, Fraction]) -> dict[str, Money]:
    """What each publisher is paid: pool x share by largest remainder; sums to the pool.

    Raises:
        MoneyError: shares that are inexact, negative or do not sum to 1.
    """
    return {name: Money(minor, pool.currency) for name, minor in allocate(pool.minor, shares).items()}


def split_lines(amount: Money, weights: Mapping[str, Decimal | Fraction]) -> dict[str, int]:
    """A publisher's amount over its sources in proportion to their positive weights, in minor units.

    A weight of 0 or less is paid 0, unless no weight is positive: then the parts are equal.

    Raises:
        MoneyError: there is money and no source to carry it.
    """
    if not weights and amount.minor:
        raise MoneyError(f"{amount.text()} has no source to stand on. Give the publisher's sources as lines")
    if not weights:
        return {}
    positive = {name: max(Fraction(weight), Fraction(0)) for name, weight in weights.items()}
    if not any(positive.values()):
        positive = dict.fromkeys(weights, Fraction(1))
    total = sum(positive.values(), Fraction(0))
    return allocate(amount.minor, {name: weight / total for name, weight in positive.items()})
