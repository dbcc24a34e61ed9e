"""Values of sources and publishers in a period, with intervals and exact shares, computed from arrays."""

from tribute.valuation.aggregate import GROUPS, Estimates, SourceSums, query_groups
from tribute.valuation.calibration import calibrate, spot_sources
from tribute.valuation.intervals import CONFIDENCE, interval
from tribute.valuation.shares import exact
from tribute.valuation.uses import query_uses
from tribute.valuation.values import SourceValues, source_values

__all__ = [
    "CONFIDENCE",
    "GROUPS",
    "Estimates",
    "SourceSums",
    "SourceValues",
    "calibrate",
    "exact",
    "interval",
    "query_groups",
    "query_uses",
    "source_values",
    "spot_sources",
]
