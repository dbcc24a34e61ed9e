"""Rows of a CSV, YAML or Parquet file, each with its place for error messages."""

import csv
import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tribute.errors import RightsError

_SHOWN = 20
"""Problems of a file that an error lists."""


class FileRow(NamedTuple):
    """A row: its place in the file, and its cells; an empty cell is None."""

    where: str
    cells: dict[str, Any]


def read_records(path: Path, required: Sequence[str], optional: Sequence[str]) -> list[FileRow]:
    """Read every row of a file; columns that are neither required nor optional are left to others.

    Raises:
        RightsError: the file is missing, unreadable or empty, lacks a required column, or has a column that
            looks like a misspelt optional one.
    """
    if path.suffix not in _READERS:
        raise RightsError(f"{path}: unknown kind of file. Use one of {', '.join(sorted(_READERS))}")
    if not path.is_file():
        raise RightsError(f"{path} does not exist. Write it, or correct the path under `rights` in project.yaml")
    try:
        records = _READERS[path.suffix](path)
    except (OSError, ValueError, csv.Error, yaml.YAMLError, pa.ArrowException) as error:
        raise RightsError(
            f"{path} cannot be read as {path.suffix[1:]}: {error}. Correct it and save it as UTF-8"
        ) from None
    if not records:
        raise RightsError(f"{path} has no rows. It needs the columns {', '.join((*required, *optional))}")
    _check_columns(path, records, required, optional)
    return records


def raise_if_any(headline: str, problems: Sequence[str]) -> None:
    """List the problems of a file in one error, so that it can be corrected in one go.

    Raises:
        RightsError: there is a problem.
    """
    if problems:
        rest = [f"  and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise RightsError("\n".join([headline, *(f"  {problem}" for problem in problems[:_SHOWN]), *rest]))


def _check_columns(
    path: Path, records: Sequence[FileRow], required: Sequence[str], optional: Sequence[str]
) -> None:
    present = sorted({column for record in records for column in record.cells})
    known = [*required, *optional]
    for column in sorted(set(present) - set(known)):
        for name in known:
            if name not in present and _alike(column, name):
                raise RightsError(f"{path}: unknown column {column}. Did you mean {name}?")
    for column in required:
        if column not in present:
            raise RightsError(f"{path}: column {column} is missing, got {', '.join(present)}. Add the column")


def _alike(written: str, meant: str) -> bool:
    return 5 * difflib.SequenceMatcher(None, written, meant).ratio() >= 4


def _of_csv(path: Path) -> list[FileRow]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) != len(header):
            raise RightsError(f"{path}: a column name occurs twice in {', '.join(header)}. Remove one of them")
        records = []
        for row in reader:
            where = f"line {reader.line_num}"
            if len(row) > len(header):
                raise RightsError(f"{path}, {where}: {len(row)} cells for {len(header)} columns. Quote the commas")
            if any(cell.strip() for cell in row):
                cells = [cell.strip() or None for cell in row] + [None] * (len(header) - len(row))
                records.append(FileRow(where, dict(zip(header, cells, strict=True))))
    return records


def _of_yaml(path: Path) -> list[FileRow]:
    rows = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) and all(map(_is_text, row)) for row in rows):
        raise RightsError(f"{path} must be a list of mappings: one `- source_id: ...` per row")
    return [FileRow(f"entry {number}", row) for number, row in enumerate(rows, 1)]


def _is_text(name: object) -> bool:
    return isinstance(name, str)


def _of_parquet(path: Path) -> list[FileRow]:
    rows = pq.read_table(path, partitioning=None).to_pylist()
    return [FileRow(f"row {number}", row) for number, row in enumerate(rows, 1)]


_READERS: dict[str, Callable[[Path], list[FileRow]]] = {
    ".csv": _of_csv,
    ".parquet": _of_parquet,
    ".yaml": _of_yaml,
    ".yml": _of_yaml,
}
