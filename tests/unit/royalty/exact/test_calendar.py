"""Months as numbers, and the ends of accounting periods."""

import pytest

from tribute.errors import ConfigError, MoneyError
from tribute.royalty.exact.calendar import (
    begins_accounting_period,
    ends_accounting_period,
    month_after,
    month_number,
    period_days,
)


def test_months_count_over_years() -> None:
    assert month_number("2027-01") - month_number("2026-11") == 2
    with pytest.raises(ConfigError, match="is not a month"):
        month_number("2026-13")


@pytest.mark.parametrize(
    "written",
    ["2026-W40", "2026-1", "26-01", "2026-00", "0000-01", "9999-12", "２０２６-10", "2026-10-01", "202610", ""],
)
def test_what_looks_like_a_month_is_none(written: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a month. Write it as YYYY-MM"):
        period_days(written)


def test_months_follow_each_other_over_years() -> None:
    assert month_after("2026-12") == "2027-01"
    assert month_after("2027-01", -1) == "2026-12"
    assert month_after("2026-03", 25) == "2028-04"
    with pytest.raises(ConfigError, match="is not a month"):
        month_after("2026-13")


def test_calendar_quarters_and_years_end() -> None:
    months = [f"2026-{month:02d}" for month in range(1, 13)]
    assert all(ends_accounting_period(month, "month") for month in months)
    assert [m for m in months if ends_accounting_period(m, "quarter")] == [
        "2026-03",
        "2026-06",
        "2026-09",
        "2026-12",
    ]
    assert [m for m in months if ends_accounting_period(m, "year")] == ["2026-12"]
    with pytest.raises(MoneyError, match=r"'week' is unknown. Use one of month, quarter, year"):
        ends_accounting_period("2026-01", "week")


def test_calendar_quarters_and_years_begin() -> None:
    months = [f"2026-{month:02d}" for month in range(1, 13)]
    assert all(begins_accounting_period(month, "month") for month in months)
    begun = [m for m in months if begins_accounting_period(m, "quarter")]
    assert begun == ["2026-01", "2026-04", "2026-07", "2026-10"]
    assert [m for m in months if begins_accounting_period(m, "year")] == ["2026-01"]


def test_periods_are_months() -> None:
    assert period_days("2026-12") == ("2026-12-01", "2027-01-01")
    for bad in ("2026-13", "2026-1", "26-01", "2026-00", "october"):
        with pytest.raises(ConfigError, match="YYYY-MM"):
            period_days(bad)
