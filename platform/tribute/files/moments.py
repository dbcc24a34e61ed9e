"""Days and moments as RFC 3339 writes them, and nothing that looks like one."""

import re
from datetime import UTC, date, datetime

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<clock>[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)"
    r"( ?(?P<utc>[Zz]|UTC)|(?P<offset>[+-][0-9]{2}:?[0-9]{2}))"
)
_EXAMPLE = "expected a time with its offset, such as 2026-10-05T12:00:00+00:00"


def read_day(text: str) -> date:
    """A day, written as 2026-10-31.

    Raises:
        ValueError: anything else, week dates such as 2026-W40 included.
    """
    if not _DAY.fullmatch(text):
        raise ValueError(f"{text[:80]} is not a day. Write it as 2026-10-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is not a day of the calendar. Write it as 2026-10-31") from None


def read_moment(text: str) -> datetime:
    """A moment in UTC, written with its offset: 2026-10-05T12:00:00+02:00; also with a space, `Z`, `z` or `UTC`.

    Digits beyond microseconds are cut off, so that a moment stays in its month.

    Raises:
        ValueError: no offset, or no such moment; says how to write it.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(_EXAMPLE)
    clock = found["clock"]
    if clock.startswith("24"):
        raise ValueError("a day ends at 23:59. Write 24:00 as 00:00 of the next day")
    if clock[6:8] == "60":
        raise ValueError("a leap second has no place of its own. Write second 60 as 59")
    try:
        moment = datetime.fromisoformat(f"{found['day']}T{clock[:15]}{found['offset'] or '+00:00'}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"there is no such moment; {_EXAMPLE}") from None
