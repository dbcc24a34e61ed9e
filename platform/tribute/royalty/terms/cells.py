"""Cells of a file, read without loss: a value is exact, or it is refused."""

import re
from datetime import date
from fractions import Fraction

from tribute.errors import MoneyError, RightsError
from tribute.files import read_day
from tribute.files.records import FileRow
from tribute.ids import checked_id
from tribute.royalty.exact.money import parse_money
from tribute.royalty.exact.text import SHORT_DECIMAL, exact_fraction

_COUNT = re.compile(r"[0-9]{1,9}")


def text_cell(record: FileRow, column: str) -> str:
    """A required cell, without surrounding spaces."""
    value = verbatim_cell(record, column)
    if value is None:
        raise RightsError(f"column {column} is empty. Fill it in; a name such as null goes in quotes in YAML")
    return value.strip()


def id_cell(record: FileRow, column: str) -> str:
    """A required id, in Unicode's form NFC."""
    try:
        return checked_id(text_cell(record, column))
    except ValueError as problem:
        raise RightsError(f"column {column} {problem}") from None


def verbatim_cell(record: FileRow, column: str) -> str | None:
    """A cell as it was written; None where it is empty."""
    value = record.cells.get(column)
    if isinstance(value, float):
        raise RightsError(f"column {column}: {value} is a binary number. Write the column as text")
    return None if value is None or not value.strip() else value


def part_cell(record: FileRow, column: str) -> Fraction | None:
    """A part between 0 and 1."""
    value = _number(record, column)
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
    value = _number(record, column)
    if value is None:
        return None
    if isinstance(value, float) and not SHORT_DECIMAL.fullmatch(str(value)):
        raise RightsError(f"column {column}: {value} is a binary number that hides its amount. Write text")
    try:
        return parse_money(str(value), currency).minor
    except MoneyError as problem:
        raise RightsError(f"column {column}: {problem}") from None


def count_cell(record: FileRow, column: str) -> int | None:
    """A whole number of at least 0."""
    value = verbatim_cell(record, column)
    if value is None:
        return None
    if not _COUNT.fullmatch(value.strip()):
        raise RightsError(f"column {column}: {value[:80]!r} is not a whole number. Write it as 6")
    return int(value)


def day_cell(record: FileRow, column: str) -> date | None:
    """A day."""
    value = verbatim_cell(record, column)
    if value is None:
        return None
    try:
        return read_day(value.strip())
    except ValueError as problem:
        raise RightsError(f"column {column}: {problem}") from None


def _number(record: FileRow, column: str) -> str | float | None:
    value = record.cells.get(column)
    return value if isinstance(value, float) else verbatim_cell(record, column)
