"""Reader of text: a folder with one folder per source, a .jsonl or a .parquet file."""

import gzip
import zlib
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tribute.config import TextCorpusSettings
from tribute.corpus.crediting.claims import claim_date
from tribute.corpus.sources import Document, InputFile, input_file
from tribute.errors import CorpusError
from tribute.files import json_value

Texts = dict[str, list[Document]]


def read_texts(settings: TextCorpusSettings) -> tuple[Texts, list[InputFile]]:
    """Read documents by source, and the records of the input files.

    Raises:
        CorpusError: a file, row or column is invalid; names it.
    """
    path = settings.path
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise CorpusError(f"Corpus {path} does not exist. Correct corpus.path in project.yaml")
    readers = {".jsonl": read_jsonl, ".parquet": read_parquet_rows}
    if path.suffix not in readers:
        raise CorpusError(
            f"Corpus {path} is neither a folder, a .jsonl nor a .parquet file. Convert it to one of these"
        )
    rows = readers[path.suffix](path, (settings.source_column, settings.text_column))
    documents: Texts = {}
    for number, row in enumerate(rows, 1):
        source_id, text = (_cell(path, number, row, c) for c in (settings.source_column, settings.text_column))
        claimed = _claimed(path, number, row, settings.claimed_column)
        documents.setdefault(source_id, []).append(Document(f"row {number:09d}", text, claimed))
    return documents, [input_file(str(path), path.read_bytes())]


def read_jsonl(path: Path, needed: tuple[str, ...]) -> list[dict[str, object]]:
    """Read the objects of a .jsonl file and check that they have all needed keys.

    Only a line feed ends a line: JSON may contain U+2028 and U+0085, at which `splitlines` breaks.
    """
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json_value(line)
        except ValueError as error:
            raise CorpusError(f"{path}, row {number}: {error}. Write one JSON object per line") from None
        if not isinstance(row, dict) or not set(needed) <= row.keys():
            found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            missing = ", ".join(name for name in needed if not isinstance(row, dict) or name not in row)
            raise CorpusError(f"{path}, row {number} has no column {missing}. It has: {found}. {_REMEDY}")
        rows.append(row)
    return rows


def read_parquet_rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, object]]:
    """Read the rows of a .parquet file, moments to the microsecond; check that it has all needed columns."""
    table = open_parquet(path, needed)
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            moments = table[index].cast(pa.timestamp("us", field.type.tz), safe=False)
            table = table.set_column(index, field.name, moments)
    return table.to_pylist()


def open_parquet(path: Path, needed: tuple[str, ...]) -> pa.Table:
    """Read the table of a .parquet file.

    Raises:
        CorpusError: the file cannot be read, or a needed column is missing.
    """
    try:
        names = pq.read_schema(path).names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise CorpusError(f"{path} has the column {twice[0]} twice. Remove one of the two")
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} cannot be read as Parquet: {error}. Write it again") from None
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise CorpusError(
            f"{path} has no column {', '.join(missing)}. It has: {', '.join(table.column_names)}. {_REMEDY}"
        )
    return table


_REMEDY = "Add it, or name the right column under `corpus` in project.yaml"


def _read_folder(root: Path) -> tuple[Texts, list[InputFile]]:
    loose = sorted(path.name for path in root.iterdir() if path.is_file() and not path.name.startswith("."))
    if loose:
        raise CorpusError(
            f"{root} holds files outside any source: {', '.join(loose[:3])}. Give each source a folder"
        )
    documents: Texts = {}
    inputs = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in source_files(folder):
            text = read_text(path)
            documents.setdefault(folder.name, []).append(Document(path.relative_to(folder).as_posix(), text))
            inputs.append(input_file(str(path), path.read_bytes()))
        documents.setdefault(folder.name, [])
    return documents, inputs


def source_files(folder: Path) -> list[Path]:
    """Files below a folder, in order, without hidden files and folders."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path.relative_to(folder))]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        CorpusError: the file is not UTF-8, or no gzip though its name ends in .gz.
    """
    content = path.read_bytes()
    try:
        plain = gzip.decompress(content) if path.suffix == ".gz" else content
        return plain.decode()
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} cannot be decompressed: {error}. Write it again with gzip") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text (byte {error.start}). Convert it to UTF-8") from None


def _claimed(path: Path, number: int, row: dict[str, object], column: str) -> date | None:
    try:
        return claim_date(row.get(column))
    except ValueError as error:
        raise CorpusError(f"{path}, row {number}: column {column!r}: {error}") from None


def _cell(path: Path, number: int, row: dict[str, object], column: str) -> str:
    value = row[column]
    if not isinstance(value, str) or not value.strip():
        raise CorpusError(
            f"{path}, row {number}: column {column!r} is {value!r}, expected non-empty text. Correct or drop the "
            "row"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise CorpusError(
            f"{path}, row {number}: column {column!r} holds half a character (a lone surrogate). Correct the row"
        )
    return value
