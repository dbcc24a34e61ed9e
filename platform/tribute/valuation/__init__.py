"""Values of sources and publishers in a period, with intervals and exact shares, computed from arrays."""

from tribute.valuation.aggregate import GROUPS, SourceSums, query_groups
from tribute.valuation.estimates import MAIN, Estimates
from tribute.valuation.intervals import CONFIDENCE, interval, share_interval
from tribute.valuation.posterior import expected_misallocation
from tribute.valuation.shares import exact
from tribute.valuation.terms import Trainings
from tribute.valuation.uses import query_uses, usage_totals
from tribute.valuation.values import SourceValues, source_values

__all__ = [
    "CONFIDENCE",
    "GROUPS",
    "MAIN",
    "Estimates",
    "SourceSums",
    "SourceValues",
    "Trainings",
    "exact",
    "expected_misallocation",
    "interval",
    "query_groups",
    "query_uses",
    "share_interval",
    "source_values",
    "usage_totals",
]
