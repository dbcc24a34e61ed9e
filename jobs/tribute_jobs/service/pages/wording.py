"""How pages write amounts, parts, values, months and moments."""

from datetime import UTC, date, datetime
from urllib.parse import quote

from tribute_jobs.service.views.figures import Amount, Interval

THIN, FIXED, MINUS = "\u202f", "\u00a0", "\u2212"
"""A thin space and a wide one, which no line breaks at, and a minus sign."""
STATES = {"none": "Valued, not settled", "draft": "Draft", "final": "Closed"}
BASES = {
    "attribution": "by what each publisher's sources were worth to the answers",
    "token_count": "by training tokens",
    "equal": "in equal parts",
    "user_centric": "customer by customer",
    "blend": "by a mixture of rules",
}
_NONE = "nothing"


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


def nats(value: float) -> str:
    """A value in nats; small ones with more digits."""
    return number(value, 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4)


def parts_range(interval: Interval) -> str:
    """`14.8% to 73.9%`."""
    return f"{part(interval.low)} to {part(interval.high)}"


def nats_range(interval: Interval) -> str:
    """`37.1 to 579.0`."""
    return f"{nats(interval.low)} to {nats(interval.high)}"


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
