"""The built-in corpus: documentation of the distributions installed in the environment.

An environment holds hundreds of megabytes of Python. For speed, the files of a source are read in the order of a
hash of their names until its quota of `max_bytes` is full. The same versions give the same bytes.
"""

import csv
import hashlib
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tribute.config import InstalledDocsSettings
from tribute.corpus.readers.distributions import STANDARD_LIBRARY, describe
from tribute.corpus.readers.docstrings import documentation, is_documentation, is_skipped_folder
from tribute.corpus.sources import Document, Source
from tribute.errors import CorpusError

MIN_SHARE = 0.03
"""Smallest share of `max_bytes` for a source, which needs text for training and for held-out queries."""

DOCUMENT_BYTES = 3000
"""Largest part of a file that is read, so that a source has many documents and some can be held out."""

MIN_PUBLISHERS = 8


@dataclass(frozen=True)
class Candidate:
    """A distribution and its files that may hold documentation: paths inside it and on disk."""

    source: Source
    files: tuple[tuple[str, Path], ...]
    size: int


def read_installed_docs(
    settings: InstalledDocsSettings,
) -> tuple[dict[str, Source], dict[str, list[Document]]]:
    """Read sources and their documents.

    Raises:
        CorpusError: too few distributions are installed.
    """
    chosen = choose([*_distributions(), _standard_library()], settings.sources)
    if len(chosen) < settings.sources:
        raise CorpusError(
            f"corpus.sources is {settings.sources}, but only {len(chosen)} distributions with documentation are "
            "installed. Lower it, or install more"
        )
    shares = zip(chosen, quotas([c.size for c in chosen], settings.max_bytes), strict=True)
    documents = {candidate.source.source_id: _fill(candidate, quota) for candidate, quota in shares}
    return {c.source.source_id: c.source for c in chosen}, documents


def choose(candidates: list[Candidate], count: int) -> list[Candidate]:
    """The largest distributions; the smallest of them are replaced until `MIN_PUBLISHERS` are represented."""
    ranked = sorted(candidates, key=lambda c: (-c.size, c.source.source_id))
    first: dict[str, Candidate] = {}
    for candidate in ranked:
        first.setdefault(candidate.source.publisher, candidate)
    needed = list(first.values())[: min(MIN_PUBLISHERS, count)]
    others = [candidate for candidate in ranked if candidate not in needed]
    return sorted([*needed, *others[: count - len(needed)]], key=lambda c: c.source.source_id)


def quotas(sizes: list[int], total: int) -> list[int]:
    """Bytes for each source, in proportion to its size and to at least `MIN_SHARE`."""
    parts = [max(size / sum(sizes), MIN_SHARE) for size in sizes]
    return [int(total * part / sum(parts)) for part in parts]


def _fill(candidate: Candidate, quota: int) -> list[Document]:
    documents: list[Document] = []
    left = quota
    for name, path in sorted(candidate.files, key=lambda file: hashlib.sha256(file[0].encode()).digest()):
        if left <= 0:
            break
        content = path.read_bytes()
        text = documentation(name, content).encode()[: min(left, DOCUMENT_BYTES)].decode(errors="ignore").strip()
        if text:
            documents.append(Document(name, text))
            left -= len(text.encode())
    return documents


def _distributions() -> Iterator[Candidate]:
    """All distributions but tribute; a file installed by two of them belongs to the first by id."""
    described = {(source := describe(each)).source_id: (source, each) for each in distributions()}
    claimed: set[str] = set()
    for source_id in sorted(described.keys() - {"tribute"}):
        source, distribution = described[source_id]
        names = [name for name in _installed_files(distribution) if name not in claimed]
        claimed.update(names)
        files = [(name, Path(str(distribution.locate_file(name)))) for name in names if is_documentation(name)]
        yield _candidate(source, files)


def _installed_files(distribution: Distribution) -> list[str]:
    """Paths of a distribution's files; its RECORD is read as it is, which takes a tenth of the time of `files`."""
    record = distribution.read_text("RECORD")
    if record is None:
        return [str(path) for path in distribution.files or []]
    return [row[0] for row in csv.reader(record.splitlines()) if row]


def _standard_library() -> Candidate:
    root = Path(sysconfig.get_paths()["stdlib"])
    files: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not is_skipped_folder(name)]
        paths = [Path(folder, name) for name in names if name.endswith(".py")]
        files += [(path.relative_to(root).as_posix(), path) for path in paths]
    return _candidate(STANDARD_LIBRARY, [(name, path) for name, path in files if is_documentation(name)])


def _candidate(source: Source, files: list[tuple[str, Path]]) -> Candidate:
    present = [(name, path) for name, path in files if ".." not in name and path.is_file()]
    return Candidate(source, tuple(present), sum(path.stat().st_size for _, path in present))
