"""Caps and floors, by exact water-filling: no part above the cap or below the floor, the rest in proportion."""

from bisect import bisect_left
from collections.abc import Mapping
from fractions import Fraction

from tribute.errors import PolicyError

ZERO, ONE = Fraction(0), Fraction(1)


def limited(
    shares: Mapping[str, Fraction], cap: Fraction | None = None, floor: Fraction | None = None
) -> dict[str, Fraction]:
    """Shares within a floor and a cap, still summing to 1.

    share' = min(cap, max(floor, level x share)) with the one level at which the sum is 1. Those between the limits
    keep their proportions. A share of 0 stays 0, and neither limit counts it.

    Raises:
        PolicyError: cap x n < 1 or floor x n > 1, for the n publishers that have a share.
    """
    positive = {name: share for name, share in shares.items() if share}
    count = len(positive)
    if cap is not None and cap * count < 1:
        raise PolicyError(
            f"policy.cap {cap} leaves {1 - cap * count} of the pool to nobody: {count} publishers have a share. "
            f"Raise it to at least 1/{count}, or remove it"
        )
    if floor is not None and floor * count > 1:
        raise PolicyError(
            f"policy.floor {floor} cannot be paid to {count} publishers that have a share. "
            f"Lower it to at most 1/{count}, or remove it"
        )
    top, bottom = ONE if cap is None else cap, ZERO if floor is None else floor
    level = _level(positive, top, bottom)
    return {name: min(top, max(bottom, level * share)) if share else ZERO for name, share in shares.items()}


def customer_weights(uses: Mapping[str, int], cap: Fraction) -> dict[str, Fraction]:
    """Weight of each customer's uses, above 0 and at most 1, so that nobody has more than `cap` of all uses.

    The uses of customers below the cap count 1. With fewer than 1/cap customers, all customers count alike.
    """
    total = sum(uses.values())
    parts = {name: Fraction(count, total) for name, count in uses.items() if count}
    if not parts:
        return dict.fromkeys(uses, ONE)
    allowed = limited(parts, max(cap, Fraction(1, len(parts))))
    raised = {name: allowed[name] / part for name, part in parts.items()}
    largest = max(raised.values())
    return {name: raised[name] / largest if name in raised else ONE for name in uses}


def _level(shares: Mapping[str, Fraction], top: Fraction, bottom: Fraction) -> Fraction:
    """Where the sum of the limited shares, which grows with the level in straight pieces, is 1."""

    def filled(level: Fraction) -> Fraction:
        return sum((min(top, max(bottom, level * share)) for share in shares.values()), ZERO)

    bends = sorted({ZERO, *(limit / share for share in shares.values() for limit in (bottom, top))})
    after = bisect_left(bends, ONE, key=filled)
    if filled(bends[after]) == 1:
        return bends[after]
    start, end = bends[after - 1], bends[after]
    below = filled(start)
    return start + (1 - below) * (end - start) / (filled(end) - below)
