"""Rows of a CSV, YAML or Parquet file, each with its place for error messages."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tribute.errors import RightsError, itemised
from tribute.files.encoding import decoded
from tribute.files.parquet import read_parquet
from tribute.files.unknown import unknown_columns
from tribute.files.yaml_text import yaml_rows
from tribute.ids import listed, short, short_words


class FileRow(NamedTuple):
    """A row: its place in the file, and its cells as text; a float is one of Parquet, an empty cell is None."""

    where: str
    cells: dict[str, str | float | None]


def read_records(
    path: Path, required: Sequence[str], optional: Sequence[str], shared: Sequence[str] = ()
) -> list[FileRow]:
    """Read every row of a file. Columns whose name begins with `note` are for people.

    Args:
        shared: columns of another file that may be the same one.

    Raises:
        RightsError: the file is missing, unreadable or empty, lacks a required column, or has an unknown one.
    """
    kind = path.suffix.lower()
    if kind not in _READERS:
        raise RightsError(f"{path}: unknown kind of file. Use one of {', '.join(sorted(_READERS))}")
    if not path.is_file():
        raise RightsError(f"{path} does not exist. Write it, or correct its path in project.yaml")
    try:
        records = _READERS[kind](path)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise RightsError(f"{path} cannot be read as {kind[1:]}: {short_words(str(error))}") from None
    if not records:
        raise RightsError(f"{path} has no rows. It needs the columns {', '.join((*required, *optional))}")
    present = list(dict.fromkeys(column for record in records for column in record.cells))
    known = (*required, *optional)
    lacking = [
        f"column {column} is missing, got {listed(present, 10)}. Add the column"
        for column in required
        if column not in present
    ]
    unknown = unknown_columns([name for name in present if name not in shared], known)
    raise_if_any(f"{path} cannot be used:", [*unknown, *lacking])
    return records


def raise_if_any(headline: str, problems: Sequence[str]) -> None:
    """List the problems of a file in one error, so that it can be corrected in one go.

    Raises:
        RightsError: there is a problem.
    """
    if problems:
        raise RightsError(itemised(headline, problems))


def _of_csv(path: Path) -> list[FileRow]:
    reader = csv.reader(io.StringIO(decoded(path.read_bytes()), newline=""), strict=True)
    header = [name.strip() for name in next(reader, [])]
    _check_header(header)
    return list(_rows_of_csv(reader, header))


def _check_header(header: Sequence[str]) -> None:
    if header and header[0].casefold().startswith("sep="):
        raise ValueError(f"line 1: {short(','.join(header))} is for Excel only. Remove the line")
    if len(header) == 1 and (found := [mark for mark in (";", "\t", "|") if mark in header[0]]):
        raise ValueError(f"line 1: columns are separated by {found[0]!r}. Save it with commas")
    nameless = [str(number) for number, name in enumerate(header, 1) if not name]
    if nameless:
        which = f"column {nameless[0]} has" if len(nameless) == 1 else f"columns {', '.join(nameless)} have"
        raise ValueError(f"line 1: {which} no name. Remove empty columns, or name them note")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ValueError(f"line 1: the column {short(twice[0])} occurs twice. Remove one of the two")


def _rows_of_csv(reader: Iterator[list[str]], header: Sequence[str]) -> Iterator[FileRow]:
    for row in reader:
        where = f"line {reader.line_num}"  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(header):
            raise ValueError(f"{where}: {len(row)} cells for {len(header)} columns. Quote the commas inside cells")
        if len(row) < len(header):
            raise ValueError(f"{where}: {len(row)} cells for {len(header)} columns. Write a comma per empty cell")
        yield FileRow(where, {name: cell.strip() or None for name, cell in zip(header, row, strict=True)})


def _of_yaml(path: Path) -> list[FileRow]:
    rows = yaml_rows(path.read_bytes())
    return [FileRow(f"entry {number}", dict(row)) for number, row in enumerate(rows, 1)]


def _of_parquet(path: Path) -> list[FileRow]:
    return [
        FileRow(f"row {number}", {name: _cell(f"row {number}, column {name}", row[name]) for name in row})
        for number, row in enumerate(read_parquet(path).to_pylist(), 1)
    ]


def _cell(where: str, value: object) -> str | float | None:
    if value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        at_midnight = value.time() == time.min and value.tzinfo in (None, UTC)
        return value.date().isoformat() if at_midnight else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(f"{where} holds a value of the type {type(value).__name__}. Write the column as text")


_READERS: dict[str, Callable[[Path], list[FileRow]]] = {
    ".csv": _of_csv,
    ".parquet": _of_parquet,
    ".yaml": _of_yaml,
    ".yml": _of_yaml,
}
