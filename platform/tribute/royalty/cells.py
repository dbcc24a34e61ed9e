"""Cells of a file and values of project.yaml, read without loss: what people write is exact, or it is refused."""

import re
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction

from tribute.errors import MoneyError, RightsError
from tribute.royalty.money import parse_money
from tribute.royalty.records import Record

_EXACT = re.compile(r"\d+(\.\d+|/0*[1-9]\d*)?")
_SHORT_DECIMAL = re.compile(r"\d+(\.\d{1,6})?")


def exact_fraction(value: object) -> Fraction:
    """A number of at least 0, written as 1, 0.25 or 1/3; a binary number only if its six decimals are all of it.

    Raises:
        ValueError: says what is wrong and how to write it.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, float) and not _SHORT_DECIMAL.fullmatch(str(value)):
        raise ValueError(f"{value} is a binary number that hides its exact part. Write text: '1/3'")
    written = _plain(value)
    if isinstance(value, bool) or not _EXACT.fullmatch(written):
        raise ValueError(f"{written!r} is not a number such as 1, 0.5 or 1/3. Correct it")
    return Fraction(written)


def text_cell(record: Record, column: str) -> str:
    """A cell that must say something, without the spaces around it."""
    value = _text(record, column)
    if value is None:
        raise RightsError(f"column {column} is empty. Fill it in")
    return value.strip()


def verbatim_cell(record: Record, column: str) -> str | None:
    """A cell as it was written; None where it is empty."""
    return _text(record, column)


def part_cell(record: Record, column: str) -> Fraction | None:
    """A part between 0 and 1."""
    value = record.cells.get(column)
    if value is None:
        return None
    try:
        part = exact_fraction(value)
    except ValueError as problem:
        raise RightsError(f"column {column}: {problem}") from None
    if part > 1:
        raise RightsError(f"column {column}: {value} is not between 0 and 1. Write 12% as 0.12")
    return part


def amount_cell(record: Record, column: str, currency: str) -> int | None:
    """An amount in major units, as minor units of its currency.

    Raises:
        RightsError: a binary number that hides its exact amount, or not an amount of the currency.
    """
    value = record.cells.get(column)
    if value is None:
        return None
    if isinstance(value, bool) or (isinstance(value, float) and not _SHORT_DECIMAL.fullmatch(str(value))):
        raise RightsError(f"column {column}: {value} was read as {type(value).__name__}. Put it in quotes")
    try:
        return parse_money(_plain(value), currency).minor
    except MoneyError as problem:
        raise RightsError(f"column {column}: {problem}") from None


def count_cell(record: Record, column: str) -> int | None:
    """A whole number of at least 0."""
    value = record.cells.get(column)
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value).strip()):
        raise RightsError(f"column {column}: {value!r} is not a whole number. Write it as 6")
    return int(value)


def day_cell(record: Record, column: str) -> date | None:
    """A day."""
    value = record.cells.get(column)
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date()
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise RightsError(f"column {column}: {value} is not a day. Write it as 2026-10-31") from None


def _text(record: Record, column: str) -> str | None:
    value = record.cells.get(column)
    if isinstance(value, bool | float):
        raise RightsError(f"column {column}: {value} was read as {type(value).__name__}. Put it in quotes")
    return None if value is None or not str(value).strip() else str(value)


def _plain(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value).strip()
