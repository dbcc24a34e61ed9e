"""Cells of a file, read without loss: a value is exact, or it is refused."""

import re
from datetime import date, datetime, time
from fractions import Fraction

from tribute.errors import MoneyError, RightsError
from tribute.royalty.exact.money import parse_money
from tribute.royalty.exact.text import SHORT_DECIMAL, exact_fraction, plain_text
from tribute.royalty.terms.records import FileRow


def text_cell(record: FileRow, column: str) -> str:
    """A required cell, without surrounding spaces."""
    value = _text(record, column)
    if value is None:
        raise RightsError(f"column {column} is empty. Fill it in")
    return value.strip()


def verbatim_cell(record: FileRow, column: str) -> str | None:
    """A cell as it was written; None where it is empty."""
    return _text(record, column)


def part_cell(record: FileRow, column: str) -> Fraction | None:
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


def amount_cell(record: FileRow, column: str, currency: str) -> int | None:
    """An amount in major units, as minor units of its currency.

    Raises:
        RightsError: a binary number that hides its exact amount, or not an amount of the currency.
    """
    value = record.cells.get(column)
    if value is None:
        return None
    if isinstance(value, bool) or (isinstance(value, float) and not SHORT_DECIMAL.fullmatch(str(value))):
        raise RightsError(f"column {column}: {value} was read as {type(value).__name__}. Put it in quotes")
    try:
        return parse_money(plain_text(value), currency).minor
    except MoneyError as problem:
        raise RightsError(f"column {column}: {problem}") from None


def count_cell(record: FileRow, column: str) -> int | None:
    """A whole number of at least 0."""
    value = record.cells.get(column)
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value).strip()):
        raise RightsError(f"column {column}: {value!r} is not a whole number. Write it as 6")
    return int(value)


def day_cell(record: FileRow, column: str) -> date | None:
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


def _text(record: FileRow, column: str) -> str | None:
    value = record.cells.get(column)
    if isinstance(value, bool | float):
        raise RightsError(f"column {column}: {value} was read as {type(value).__name__}. Put it in quotes")
    return None if value is None or not str(value).strip() else str(value)
