"""How much each use of the model counts: its weight, or less if its customer exceeds the policy's cap.

Uses without a customer are not capped, and do not count towards the total that the cap is a part of.

Legend: Q queries, U units.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tribute.corpus import QueryTable
from tribute.royalty.division import customer_weights

PICO = 10**12
"""Customers' uses are counted in whole parts of this size, so that sums are exact."""


def query_uses(queries: QueryTable, cap: Fraction | None) -> NDArray[np.float64]:
    """How much every query counts, [Q] uses: weight over inclusion probability, reduced above the cap."""
    uses_Q = queries.weights / queries.inclusion
    if cap is None:
        return uses_Q
    total: Counter[str] = Counter()
    for name, use in zip(queries.customers, uses_Q.tolist(), strict=True):
        if name is not None:
            total[name] += round(use * PICO)
    counts = customer_weights(total, cap)
    return uses_Q * np.array([1.0 if name is None else float(counts[name]) for name in queries.customers])


def usage_totals(uses_Q: NDArray[np.float64], influence_QU: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum over the queries of uses times influence, [U]; the same bits whatever other columns there are."""
    columns_UQ = np.ascontiguousarray(influence_QU.T, dtype=np.float64)
    return np.array([uses_Q @ column_Q for column_Q in columns_UQ])


def counted_customers(uses: Mapping[str, Decimal], cap: Fraction | None) -> dict[str, list]:
    """SQL parameters: customers, and how much each of their uses counts."""
    if cap is None:
        return {"customers": [], "counts": []}
    counts = customer_weights({name: round(number * PICO) for name, number in uses.items()}, cap)
    return {"customers": list(counts), "counts": [float(each) for each in counts.values()]}
