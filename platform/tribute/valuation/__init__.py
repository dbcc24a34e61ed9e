"""What each source and publisher was worth in a period, with its interval and its exact share."""

from tribute.valuation.aggregate import GROUPS, SourceSums, query_groups
from tribute.valuation.calibration import Calibration, calibrate, spot_sources
from tribute.valuation.contributions import Contribution, contributions
from tribute.valuation.customers import customer_values
from tribute.valuation.estimates import Estimates
from tribute.valuation.intervals import CONFIDENCE, interval
from tribute.valuation.period import Valuation, payees, period_splits, read_book, read_valuation, value_period
from tribute.valuation.report import valuation_record, valuation_report
from tribute.valuation.shares import exact
from tribute.valuation.uses import customer_cap, customer_uses, query_uses, valued_runs
from tribute.valuation.values import source_values

__all__ = [
    "CONFIDENCE",
    "GROUPS",
    "Calibration",
    "Contribution",
    "Estimates",
    "SourceSums",
    "Valuation",
    "calibrate",
    "contributions",
    "customer_cap",
    "customer_uses",
    "customer_values",
    "exact",
    "interval",
    "payees",
    "period_splits",
    "query_groups",
    "query_uses",
    "read_book",
    "read_valuation",
    "source_values",
    "spot_sources",
    "valuation_record",
    "valuation_report",
    "value_period",
    "valued_runs",
]
