"""Statements of a period: built, checked, compared."""

from tribute.royalty.statement.alarms import AlarmLimits, alarms
from tribute.royalty.statement.balance_checks import check_period
from tribute.royalty.statement.build import Books, build_statements
from tribute.royalty.statement.comparison import (
    Cause,
    Comparison,
    PublisherMove,
    ValueChange,
    compare,
    readable_policy,
)
from tribute.royalty.statement.inputs import LineValue, PeriodFacts, Pool, PublisherValue

__all__ = [
    "AlarmLimits",
    "Books",
    "Cause",
    "Comparison",
    "LineValue",
    "PeriodFacts",
    "Pool",
    "PublisherMove",
    "PublisherValue",
    "ValueChange",
    "alarms",
    "build_statements",
    "check_period",
    "compare",
    "readable_policy",
]
