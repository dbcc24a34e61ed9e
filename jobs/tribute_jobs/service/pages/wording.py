"""How pages write amounts, parts, values, months and moments."""

import re
from datetime import UTC, date, datetime
from urllib.parse import quote

from tribute_jobs.service.views.figures import Amount, Interval

THIN, FIXED, MINUS = "\u202f", "\u00a0", "\u2212"
"""A thin space and a wide one, which no line breaks at, and a minus sign."""
STATES = {
    "none": "Valued, not settled",
    "draft": "Draft",
    "half_closed": "Closing not completed",
    "final": "Closed",
}
BASES = {
    "attribution": "by what each publisher's sources were worth to the answers",
    "token_count": "by training tokens",
    "equal": "in equal parts",
    "user_centric": "customer by customer",
    "blend": "by a mixture of rules",
}
_NONE = "nothing"
_LABEL = re.compile(r"(\d{4}-\d{2}) version (\d+) \(\w+\)")


def money(value: Amount | str) -> str:
    """An amount that no line breaks, its thousands apart by a thin space: `11 000.00 EUR`."""
    text = value if isinstance(value, str) else value.text
    return text.replace("-", MINUS).replace(",", THIN).replace(" ", FIXED)


def moneys(values: tuple[Amount, ...]) -> str:
    """Amounts of several currencies."""
    return " + ".join(map(money, values)) or _NONE


def signed(value: Amount) -> str:
    """A change, with its sign."""
    return f"+{money(value)}" if value.minor > 0 else money(value)


def part(value: float, digits: int = 1) -> str:
    """A part of 1 in percent: `16.7%`."""
    return f"{100 * value:.{digits}f}%".replace("-", MINUS)


def number(value: float, digits: int = 0) -> str:
    """A number, its thousands apart by a thin space."""
    text = f"{value:,.{digits}f}"
    text = text.lstrip("-") if not text.strip("-0.,") else text
    return text.replace(",", THIN).replace("-", MINUS)


def nats(value: float, digits: int | None = None) -> str:
    """A value in nats, with as many digits as others beside it, or as its own size asks for."""
    return number(value, nats_digits(abs(value)) if digits is None else digits)


def nats_digits(size: float) -> int:
    """Digits after the point for values of a size."""
    return 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4


def nats_range(interval: Interval, digits: int | None = None) -> str:
    """`37.1 to 579.0`."""
    return f"{nats(interval.low, digits)} to {nats(interval.high, digits)}"


def version(label: str) -> str:
    """`2026-11 version 2 (final)` as `November 2026, version 2`."""
    found = _LABEL.fullmatch(label)
    return label if found is None else f"{month(found[1])}, version {found[2]}"


def month(period: str) -> str:
    """`January 2027`."""
    return date.fromisoformat(f"{period}-01").strftime("%B %Y")


def short_month(period: str) -> str:
    """`Jan 2027`."""
    return date.fromisoformat(f"{period}-01").strftime("%b %Y")


def moment(value: datetime) -> str:
    """`30 November 2026, 05:38 UTC`."""
    then = value.astimezone(UTC)
    return f"{then.day} {then:%B %Y, %H:%M} UTC"


def path(text: str) -> str:
    """An id as part of an address."""
    return quote(text, safe="")
