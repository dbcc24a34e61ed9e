"""Exact numbers read from text, and written as text."""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal, localcontext
from fractions import Fraction

from tribute.errors import MoneyError

SHORT_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
"""A number whose decimals, six at most, are all of it, so that a binary float read from it hides nothing."""

_EXACT = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40}|/0{0,40}[1-9][0-9]{0,39})?")
_SHOWN = 80
"""Characters of anybody's text that a message shows."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_CONTROL = frozenset(("Cc", "Cs", "Zl", "Zp"))
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def exact_fraction(value: object) -> Fraction:
    """A number of at least 0, written as 1, 0.25 or 1/3; a float only if six decimals hold it exactly.

    Raises:
        ValueError: the number is inexact or malformed; the message shows how to write it.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, float) and not SHORT_DECIMAL.fullmatch(str(value)):
        raise ValueError(f"{value} is a binary number that hides its exact part. Write text: '1/3'")
    written = plain_text(value)
    if isinstance(value, bool) or not _EXACT.fullmatch(written):
        written = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."
        raise ValueError(f"{written!r} is not a number such as 1, 0.5 or 1/3. Correct it")
    return Fraction(written)


def plain_text(value: object) -> str:
    """A number as people write it, without an exponent; other values without the spaces around them."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value).strip()


def percent(share: Fraction) -> str:
    """A share in percent with four decimals, halves to even: `12.3457`."""
    whole, part = divmod(round(share * 1_000_000), 10_000)
    return f"{whole}.{part:04d}"


def plain(value: Decimal) -> str:
    """A decimal in full, without exponent and trailing zeros.

    Raises:
        MoneyError: the value is not finite.
    """
    if not value.is_finite():
        raise MoneyError(f"A value of {value} cannot be printed on a statement. Check the valuation for overflow")
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def id_part(name: str) -> str:
    """A publisher's id as part of a statement's id: without colons, which separate the parts of a line's id."""
    return name.replace("%", "%25").replace(":", "%3A")


def one_line(text: str) -> str:
    """A name made safe for tables and terminals: no line breaks, control or text-direction characters."""
    return "".join(" " if unicodedata.category(c) in _CONTROL or c in _DIRECTION else c for c in text)


def printable(text: object) -> str:
    """Text on one line of a terminal. Control and text-direction characters become spaces."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def inert(text: str) -> str:
    """Text with an apostrophe in front where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def total(values: Iterable[Decimal]) -> Decimal:
    """Exact sum, the same for any order. The precision exceeds what floats written in full can need."""
    with localcontext(prec=2000):
        return sum(values, Decimal(0))


class NatsText:
    """Nats to as many decimals as give the largest value of a page four digits; the data hold them all."""

    def __init__(self, values: Iterable[Decimal]) -> None:
        largest = max((value.adjusted() for value in values if value), default=0)
        self._decimals = min(max(3 - largest, 0), 9)

    def __call__(self, value: str) -> str:
        """A value of the data as the page shows it."""
        text = f"{Decimal(value):,.{self._decimals}f}"
        return (text.lstrip("-") if not text.strip("-0.,") else text).replace("-", "−")


def short(label: str, characters: int) -> str:
    """A label's beginning and end, so that long ids with one beginning stay apart."""
    if len(label) <= characters:
        return label
    end = characters // 3
    return f"{label[: characters - end - 1]}…{label[-end:]}"
