"""Months, quarters and years: which month ends an accounting period, and how far two months are apart."""

from tribute.config import period_days
from tribute.errors import MoneyError

MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
"""Accounting periods, with their length in months. Quarters and years are those of the calendar."""


def month_number(period: str) -> int:
    """A `YYYY-MM` period as a number of months, so that differences count months.

    Raises:
        ConfigError: not a month.
    """
    period_days(period)
    return int(period[:4]) * 12 + int(period[5:]) - 1


def ends_accounting_period(period: str, accounting_period: str) -> bool:
    """Whether a month is the last of its month, quarter or year.

    Raises:
        MoneyError: an unknown kind of accounting period.
    """
    if accounting_period not in MONTHS_OF:
        raise MoneyError(f"Accounting period {accounting_period!r} is unknown. Use one of {', '.join(MONTHS_OF)}")
    return (month_number(period) + 1) % MONTHS_OF[accounting_period] == 0
