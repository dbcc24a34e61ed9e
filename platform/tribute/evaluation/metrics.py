"""How far shares are from the truth."""

from collections.abc import Mapping


def clipped_shares(values: Mapping[str, float]) -> dict[str, float]:
    """Non-negative shares in proportion to the positive values; equal ones if there are none."""
    payable = {payee: max(value, 0.0) for payee, value in values.items()}
    total = sum(payable.values())
    return {payee: value / total if total else 1 / len(payable) for payee, value in payable.items()}


def misallocated_pool(paid: Mapping[str, float], owed: Mapping[str, float]) -> float:
    """Half the L1 distance between two divisions of a pool: the part of the money that goes to the wrong payee.

    Raises:
        KeyError: a payee of one is not in the other.
    """
    if paid.keys() != owed.keys():
        raise KeyError(f"payees differ: {sorted(paid.keys() ^ owed.keys())}")
    return sum(abs(paid[payee] - owed[payee]) for payee in paid) / 2
