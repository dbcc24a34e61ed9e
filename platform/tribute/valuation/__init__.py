"""What each source and publisher was worth in a period, with its interval and its exact share."""

from tribute.valuation.calibration import Calibration, calibrate, spot_sources
from tribute.valuation.period import Valuation, period_splits, read_book, read_valuation, value_period
from tribute.valuation.report import valuation_record, valuation_report

__all__ = [
    "Calibration",
    "Valuation",
    "calibrate",
    "period_splits",
    "read_book",
    "read_valuation",
    "spot_sources",
    "valuation_record",
    "valuation_report",
    "value_period",
]
