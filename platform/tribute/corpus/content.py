"""What a corpus is read from, by content: a moved or renamed file is the same, a changed one is not."""

import hashlib
import os
import platform
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from tribute.config import (
    CorpusSettings,
    IdxCorpusSettings,
    InstalledDocsSettings,
    TextCorpusSettings,
    WindowSettings,
)
from tribute.corpus.encoding.tokenizer_files import tokenizer_sha256
from tribute.corpus.readers.text_files import source_files
from tribute.files.digests import file_sha256

READER = f"1, Unicode {unicodedata.unidata_version}"
"""Version of the reader: raised with every release that reads other examples from the same bytes."""


def corpus_content(settings: CorpusSettings, sha256: Callable[[Path], str] = file_sha256) -> dict[str, str]:
    """SHA-256 of every file that a corpus is read from, by `file NAME`; `missing` where there is none.

    A file of a folder is named by its path below the folder, which names its source and document. Any other file
    is named by its setting. The files of a tokenizer have one digest.

    Raises:
        ConfigError: there is no such tokenizer.
    """
    found = {f"file {name}": sha256(path) for name, path in _files(settings)}
    if isinstance(settings, InstalledDocsSettings):
        found["installed distributions"] = _installed()
    if isinstance(settings, WindowSettings) and settings.tokenizer is not None:
        found["corpus.tokenizer"] = tokenizer_sha256(settings.tokenizer, sha256)
    return found


def _files(settings: CorpusSettings) -> Iterable[tuple[str, Path]]:
    if settings.duplicates.claims is not None:
        yield "corpus.duplicates.claims", settings.duplicates.claims
    if isinstance(settings, InstalledDocsSettings):
        return
    if isinstance(settings, IdxCorpusSettings):
        for name in ("images", "labels", "assignment"):
            path: Path = getattr(settings, name)
            yield f"corpus.{name}{' (.gz)' if path.suffix == '.gz' else ''}", path
    elif isinstance(settings, TextCorpusSettings) and settings.path.is_dir():
        for path in source_files(settings.path):
            yield path.relative_to(settings.path).as_posix(), path
    else:
        yield f"corpus.path ({settings.path.suffix})", settings.path


def _installed() -> str:
    """Digest of the names and versions of all installed distributions, and of Python's version."""
    folders = [Path(folder) for folder in sys.path if Path(folder).is_dir()]
    names = {entry.name for folder in folders for entry in os.scandir(folder)}
    versions = sorted(n for n in names if n.endswith((".dist-info", ".egg-info")) and not n.startswith("tribute-"))
    return hashlib.sha256("\n".join([platform.python_version(), *versions]).encode()).hexdigest()
