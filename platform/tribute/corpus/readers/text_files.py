"""Reader of text: a folder with one folder per source, a .jsonl or a .parquet file."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from tribute.config import TextCorpusSettings
from tribute.corpus.crediting.claims import claim_date
from tribute.corpus.encoding import encoder_of
from tribute.corpus.readers.content import read_content
from tribute.corpus.readers.rows import Row, every_row, read_rows, read_text, text_cell
from tribute.corpus.sources import Document
from tribute.errors import CorpusError, joined
from tribute.ids import checked_id, is_visible, listed

Texts = dict[str, list[Document]]

_PROSE = "txt text md markdown rst adoc asciidoc org tex log"
_CODE = "py c h cc cpp hpp cs java js ts go rs rb php sh sql r jl kt scala swift lua pl hs m el lisp f90"
TEXT_SUFFIXES = frozenset(("", *(f".{kind}" for kind in f"{_PROSE} {_CODE}".split())))
"""Files in a source's folder that are text as they are: prose, and source code."""
_ROWS = "Give the file itself as corpus.path: it names the source of each row"
_EXTRACT = "Save its text as .txt, or move it out of the folder"
_REMEDIES = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json", ".parquet"), _ROWS),
    **dict.fromkeys(
        (".csv", ".tsv", ".xlsx"), "Convert it to .jsonl with the columns source and text, and give that"
    ),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".7z"), "Unpack it"),
}


def read_texts(settings: TextCorpusSettings) -> Texts:
    """Read documents by source.

    Raises:
        CorpusError: a file, row or column is invalid; names it.
    """
    path = settings.path
    if path.is_dir():
        if settings.has_targets:
            raise CorpusError(
                f"Corpus {path} is a folder, which has no column {settings.content_columns[-1]!r}. Give a .jsonl "
                "or .parquet file as corpus.path, or leave the columns of prompts and messages out"
            )
        return _read_folder(path)
    if not path.is_file():
        raise CorpusError(f"Corpus {path} does not exist. Correct corpus.path in project.yaml")
    if path.suffix not in (".jsonl", ".parquet"):
        raise CorpusError(
            f"Corpus {path} is neither a folder, a .jsonl nor a .parquet file. Convert it to one of these"
        )

    def document(number: int, row: Row) -> tuple[str, Document]:
        source_id = _source_id(path, number, text_cell(path, number, row, settings.source_column))
        text, targets = read_content(path, number, row, settings, encoder)
        claimed = _claimed(path, number, row, settings.claimed_column)
        return source_id, Document(f"row {number:09d}", text, claimed, targets)

    documents: Texts = {}
    encoder = encoder_of(settings.tokenizer)
    rows = read_rows(path, (settings.source_column, *settings.content_columns))
    for source_id, own in every_row(path, enumerate(rows, 1), document):
        documents.setdefault(source_id, []).append(own)
    return documents


def kinds_of_files(paths: Iterable[str]) -> str:
    """How many files of each kind there are: `7 files: 4 .txt, 3 .md`."""
    kinds = Counter(Path(path).suffix.lower() or "without suffix" for path in paths)
    named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    return f"{kinds.total():,} files: {named}"


def source_files(folder: Path) -> list[Path]:
    """What lies below a folder, in order, without folders and hidden entries."""
    found = []
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in links]
        found += [Path(parent) / name for name in (*names, *links) if not name.startswith(".")]
    return sorted(found)


def _read_folder(root: Path) -> Texts:
    """The documents of every source's folder; all problems are listed, one for each source."""
    visible = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    loose, problems, documents = [path.name for path in visible if not path.is_dir()], list[str](), Texts()
    if loose:
        problems.append(f"{root} holds files outside any source: {listed(loose, 3)}. Give each source a folder")
    for folder in filter(Path.is_dir, visible):
        try:
            documents.setdefault(_id_of_folder(folder), []).extend(_read_source(folder, root))
        except CorpusError as problem:
            problems.append(str(problem))
    if problems:
        raise CorpusError(joined(problems, f"Corpus {root} has {len(problems)} problems:"))
    return documents


def _id_of_folder(folder: Path) -> str:
    try:
        return checked_id(folder.name)
    except ValueError as problem:
        raise CorpusError(f"The folder of a source {problem}, or rename the folder") from None


def _read_source(folder: Path, root: Path) -> Iterator[Document]:
    for path in [folder] if folder.is_symlink() else source_files(folder):
        _require_text_file(path, root)
        text = read_text(path)
        if not is_visible(text):
            raise CorpusError(f"{path} is empty, or shows nothing. Remove it, or restore its text")
        yield Document(_document_id(path, folder), text)


def _require_text_file(path: Path, root: Path) -> None:
    """Check that a file is text by its name, and lies in the corpus's folder."""
    if path.is_symlink():
        if not path.exists():
            raise CorpusError(f"{path} is a link to nothing. Remove it, or restore {path.readlink()}")
        if path.is_dir() or not path.resolve().is_relative_to(root.resolve()):
            raise CorpusError(
                f"{path} is a link to {path.readlink()}. Links to folders and out of {root} are not followed: "
                "copy what it points to in its place"
            )
    if not path.is_file():
        raise CorpusError(f"{path} is neither a file nor a folder. Move it out of {root}")
    suffix = path.suffix.lower()
    if suffix not in TEXT_SUFFIXES and not suffix[1:].isdigit():
        remedy = _REMEDIES.get(suffix, _EXTRACT)
        raise CorpusError(f"{path} is no text file: its name ends with {suffix}. {remedy}")


def _document_id(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix()
    if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
        raise CorpusError(f"A file in {folder} has the name {name!a}, which is not UTF-8. Rename it")
    return name


def _source_id(path: Path, number: int, value: str) -> str:
    try:
        return checked_id(value)
    except ValueError as problem:
        raise CorpusError(f"{path}, row {number}: the source {problem}") from None


def _claimed(path: Path, number: int, row: Row, column: str) -> date | None:
    try:
        return claim_date(row.get(column))
    except ValueError as error:
        raise CorpusError(f"{path}, row {number}: column {column!r}: {error}") from None
