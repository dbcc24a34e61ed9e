"""Months, quarters and years: which month begins and ends an accounting period, and how months are counted."""

import re

from tribute.errors import ConfigError, MoneyError

MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
"""Accounting periods, with their length in months. Quarters and years are those of the calendar."""

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def period_days(period: str) -> tuple[str, str]:
    """First day of a `YYYY-MM` period and first day after it, as ISO dates.

    Raises:
        ConfigError: `period` is not a month of the years 1000 to 8999.
    """
    after = month_number(period) + 1
    if not "1" <= period < "9":
        raise _not_a_month(period)
    return f"{period}-01", f"{after // 12:04d}-{after % 12 + 1:02d}-01"


def month_number(period: str) -> int:
    """A `YYYY-MM` period as a number of months, so that differences count months.

    Raises:
        ConfigError: not a month.
    """
    found = _MONTH.fullmatch(period)
    if found is None:
        raise _not_a_month(period)
    return int(found[1]) * 12 + int(found[2]) - 1


def month_after(period: str, months: int = 1) -> str:
    """The `YYYY-MM` period that lies so many months after another; before it, if the number is below 0.

    Raises:
        ConfigError: not a month.
    """
    year, month = divmod(month_number(period) + months, 12)
    return f"{year:04d}-{month + 1:02d}"


def accounting_period_number(period: str, accounting_period: str) -> int:
    """The number of the month, quarter or year of the calendar that a month lies in; consecutive ones follow.

    Raises:
        MoneyError: an unknown kind of accounting period.
    """
    return month_number(period) // _months(accounting_period)


def ends_accounting_period(period: str, accounting_period: str) -> bool:
    """Whether a month is the last of its month, quarter or year.

    Raises:
        MoneyError: an unknown kind of accounting period.
    """
    return (month_number(period) + 1) % _months(accounting_period) == 0


def begins_accounting_period(period: str, accounting_period: str) -> bool:
    """Whether a month is the first of its month, quarter or year.

    Raises:
        MoneyError: an unknown kind of accounting period.
    """
    return month_number(period) % _months(accounting_period) == 0


def _not_a_month(period: str) -> ConfigError:
    return ConfigError(f"Period {period[:80]!r} is not a month. Write it as YYYY-MM, for example 2026-10")


def _months(accounting_period: str) -> int:
    if accounting_period not in MONTHS_OF:
        raise MoneyError(f"Accounting period {accounting_period!r} is unknown. Use one of {', '.join(MONTHS_OF)}")
    return MONTHS_OF[accounting_period]
