"""Days and moments: RFC 3339 and nothing that looks like it."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.files import read_day, read_moment

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-10-05T12:00:00+00:00", "2026-10-05 12:00:00 UTC", "2026-10-05 12:00:00UTC", "2026-10-05t12:00:00z",
        "2026-10-05T12:00Z", "2026-10-05T14:00:00+02:00", "2026-10-05T07:00:00-0500", " 2026-10-05T12:00:00.000Z ",
    ],
)  # fmt: skip
def test_one_moment_in_many_writings(written: str) -> None:
    assert read_moment(written) == NOON


OFFSETS = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))


@given(st.datetimes(datetime(1900, 1, 2), timezones=OFFSETS | st.just(UTC)))
def test_every_moment_with_whole_minutes_of_offset_is_read_back(moment: datetime) -> None:
    written = moment.isoformat()
    if moment.utcoffset() % timedelta(minutes=1):
        with pytest.raises(ValueError, match="expected a time"):
            read_moment(written)
    elif moment < datetime.max.replace(tzinfo=UTC) - timedelta(days=1):
        assert read_moment(written) == moment


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2026-10-05T12:00:00", "expected a time with its offset, such as 2026-10-05T12:00:00"),
        ("2026-W41-1T00:00:00+00:00", "expected a time"),
        ("20261005T120000Z", "expected a time"),
        ("2026-278T12:00:00Z", "expected a time"),
        ("1791158400000", "expected a time"),
        ("2026-10-31T23:30:00-05:30:15", "expected a time"),
        ("2026-10-05T12:00:00 CET", "expected a time"),
        ("05/10/2026 12:00 UTC", "expected a time"),
        ("２０２６-10-05T12:00:00Z", "expected a time"),
        ("2026-06-30T23:59:60Z", "Write second 60 as 59"),
        ("2026-10-31T24:00:00Z", "Write 24:00 as 00:00 of the next day"),
        ("2026-02-30T12:00:00Z", "no such moment"),
        ("0001-01-01T00:00:00+10:00", "no such moment"),
        ("2026-10-05T12:00:00+99:00", "no such moment"),
    ],
)
def test_other_writings_are_refused_with_an_example(written: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_moment(written)


def test_digits_beyond_microseconds_do_not_reach_the_next_month() -> None:
    assert read_moment("2026-10-31T23:59:59.999999999Z") == datetime(2026, 10, 31, 23, 59, 59, 999_999, UTC)


@given(st.dates())
def test_a_day_is_read_back(day: date) -> None:
    assert read_day(day.isoformat()) == day


@pytest.mark.parametrize(
    "written",
    ["2026-W40", "2026-W40-1", "20261031", "2026-10", "2026-13-01", "31.10.2026", "2026-1-1", "", "١٢٣٤-10-01"],
)
def test_what_looks_like_a_day_is_none(written: str) -> None:
    with pytest.raises(ValueError, match="Write it as 2026-10-31"):
        read_day(written)
