"""What each source and publisher was worth in a period, with its interval and its exact share."""

from tribute.valuation.aggregate import GROUPS, SourceSums, query_groups
from tribute.valuation.calibration import Calibration, calibrate, spot_sources
from tribute.valuation.estimates import Estimates
from tribute.valuation.intervals import CONFIDENCE, interval
from tribute.valuation.period import Valuation, payees, period_splits, read_book, read_valuation, value_period
from tribute.valuation.report import valuation_record, valuation_report
from tribute.valuation.values import source_values

__all__ = [
    "CONFIDENCE",
    "GROUPS",
    "Calibration",
    "Estimates",
    "SourceSums",
    "Valuation",
    "calibrate",
    "interval",
    "payees",
    "period_splits",
    "query_groups",
    "read_book",
    "read_valuation",
    "source_values",
    "spot_sources",
    "valuation_record",
    "valuation_report",
    "value_period",
]
