"""Rows of .jsonl and .parquet files, and the text of files."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from tribute.errors import CorpusError, joined
from tribute.files import json_value
from tribute.files.encoding import decoded
from tribute.files.parquet import read_parquet
from tribute.ids import excerpt, is_visible, listed, short_words

Row = dict[str, object]
Given = TypeVar("Given")
Made = TypeVar("Made")

CHAT_REMEDY = "Write a chat as one text, such as a line per message"
_REMEDY = "Add it, or name the right column under `corpus` in project.yaml"


def read_rows(path: Path, needed: Sequence[str]) -> list[Row]:
    """The rows of a .jsonl, .jsonl.gz or .parquet file, which all have the needed columns.

    Raises:
        CorpusError: the file cannot be read, or a row is wrong; names the row.
    """
    return read_parquet_rows(path, needed) if path.suffix == ".parquet" else read_jsonl(path, needed)


def read_jsonl(path: Path, needed: Sequence[str]) -> list[Row]:
    """The objects of a .jsonl file; raises what `read_rows` does.

    Only a line feed ends a line: JSON may contain U+2028 and U+0085, at which `splitlines` breaks.
    """
    lines = ((number, line) for number, line in enumerate(read_text(path).split("\n"), 1) if line.strip())
    return every_row(path, lines, lambda number, line: _object(path, number, line, needed))


def _object(path: Path, number: int, line: str, needed: Sequence[str]) -> Row:
    try:
        row = json_value(line)
    except ValueError as error:
        raise CorpusError(f"{path}, row {number}: {error}. Write one JSON object per line") from None
    if not isinstance(row, dict) or not set(needed) <= row.keys():
        found = listed(row, 10) if isinstance(row, dict) else type(row).__name__
        missing = listed(name for name in needed if not isinstance(row, dict) or name not in row)
        raise CorpusError(f"{path}, row {number} has no column {missing}. It has: {found}. {_REMEDY}")
    return row


def every_row(path: Path, rows: Iterable[tuple[int, Given]], read: Callable[[int, Given], Made]) -> list[Made]:
    """What is read from every row, given with its number.

    Raises:
        CorpusError: rows are wrong; lists the problems of the first of them.
    """
    made, problems = list[Made](), list[str]()
    for number, row in rows:
        try:
            made.append(read(number, row))
        except CorpusError as problem:
            problems.append(str(problem))
    if problems:
        raise CorpusError(joined(problems, f"{path}: {len(problems):,} rows cannot be used:"))
    return made


def read_parquet_rows(path: Path, needed: Sequence[str]) -> list[Row]:
    """The rows of a .parquet file, moments to the microsecond; raises what `read_rows` does."""
    return open_parquet(path, needed).to_pylist()


def open_parquet(path: Path, needed: Sequence[str]) -> pa.Table:
    """The table of a .parquet file.

    Raises:
        CorpusError: the file cannot be read, or a needed column is missing.
    """
    try:
        table = read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(
            f"{path} cannot be read as Parquet: {short_words(str(error)).rstrip('.')}. Write it again"
        ) from None
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise CorpusError(
            f"{path} has no column {listed(missing)}. It has: {listed(table.column_names, 10)}. {_REMEDY}"
        )
    return table


def text_cell(path: Path, number: int, row: Row, column: str) -> str:
    """A cell of text.

    Raises:
        CorpusError: it is no text, or empty, or half a character; names file, row and column.
    """
    value = row[column]
    where = f"{path}, row {number}: column {column!r}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        raise CorpusError(f"{where} is a list of {len(value):,} chat messages, expected text. {CHAT_REMEDY}")
    if not isinstance(value, str) or not is_visible(value):
        raise CorpusError(
            f"{where} is {excerpt(value)} ({type(value).__name__}), expected non-empty text. Correct or drop the "
            "row"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise CorpusError(f"{where} holds half a character (a lone surrogate). Correct the row")
    return value


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark; of a .gz file unpacked. Line feeds end all lines.

    Raises:
        CorpusError: the file cannot be read or unpacked, is in another encoding, or holds a NUL byte.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror}. Correct the path or its permissions"
        ) from None
    try:
        text = decoded(gzip.decompress(content) if path.suffix == ".gz" else content)
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} cannot be decompressed: {error}. Write it again with gzip") from None
    except ValueError as problem:
        raise CorpusError(f"{path}, {problem}") from None
    if "\0" in text:
        raise CorpusError(f"{path} is no text: it holds a NUL byte. Save it as UTF-8, or remove it")
    return io.StringIO(text, newline=None).read()
