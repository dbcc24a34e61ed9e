"""The passages that an answer shares with the sources of a project, with the names of their documents."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import lineage
from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.corpus.encoding import text_format
from tribute.corpus.verbatim import (
    BYTES,
    INDEXES,
    CorpusIndex,
    SharedPassage,
    Tokens,
    is_indexed,
    joined_windows,
    open_index,
    shared_passages,
)
from tribute.errors import ConfigError
from tribute.ids import excerpt, listed, nfc
from tribute.progress import OnDone, unheard
from tribute_storage import open_tables

LEAST_TOKENS = 8
"""Tokens of the shortest exact passage, where they are a tokenizer's."""
_DOCUMENTS = """
select source_id, place, document_id, bytes from corpus_documents
where run_id = $1 and not held_out and place is not null
"""


def corpus_tokens_read_as(project: Project) -> Tokens:
    """How the tokens of the project's corpus are read.

    Raises:
        ConfigError: they are no text.
    """
    form = text_format(project.corpus)
    if form is None:
        raise ConfigError("The corpus holds arrays, and only text can be shared word for word")
    encoder = form.encoder
    return BYTES if encoder.unit == "bytes" else Tokens(encoder.decode, encoder.separator, LEAST_TOKENS)


def has_index(project: Project) -> bool:
    """Whether the corpus of the project is text and has an index of its runs."""
    return getattr(project.corpus, "window", None) is not None and is_indexed(
        *_places(project), corpus_tokens_read_as(project)
    )


def corpus_index(project: Project, on_done: OnDone = unheard, *, make: bool) -> CorpusIndex:
    """The index of the project's corpus; see `open_index`."""
    return open_index(*_places(project), corpus_tokens_read_as(project), on_done, make=make)


def verbatim(
    project: Project,
    query: QueryTable,
    source_ids: Collection[str] | None = None,
    least: int | None = None,
    on_done: OnDone = unheard,
    *,
    make: bool = True,
) -> list[dict[str, Any]]:
    """The passages that a query shares with sources, JSON-ready: exact ones before near ones, the longest first.

    Args:
        query: one.
        source_ids: the sources that may be named; None: all.
        least: tokens of the shortest exact passage; None: 30 bytes, or 8 tokens of a tokenizer.
        make: whether to make the index where there is none: it takes a second for every megabyte or two.

    Raises:
        ConfigError: no such source, `least` is too small, or the corpus is no text.
        CorpusError: the corpus is not read yet, or has no index and none is to be made.
    """
    tokens, index = corpus_tokens_read_as(project), corpus_index(project, on_done, make=make)
    named = None if source_ids is None else [nfc(each) for each in source_ids]
    unknown = [each for each in named or () if each not in index.source_ids]
    if unknown:
        raise ConfigError(f"There is no source {excerpt(unknown[0])}. There are: {listed(index.source_ids)}")
    answer = _answered(query, tokens)
    found = shared_passages(index, tokens, answer, named, least)
    names = _documents(project)
    return [_described(each, index, tokens, names) for each in found]


def _answered(query: QueryTable, tokens: Tokens) -> NDArray[np.integer]:
    """The tokens of a query; those of its prompt are separators, so that no passage lies in them."""
    answer = joined_windows(query.rows["tokens"])
    if "target" not in query.rows:
        return answer
    [first, *later] = query.rows["target"]
    measured = np.concatenate([first, *(row[1:] for row in later)])[: len(answer)]
    measured[0] |= bool(measured[1:].all())  # the first token of a text without a prompt
    return np.where(measured, answer, tokens.separator)


def _described(
    found: SharedPassage, index: CorpusIndex, tokens: Tokens, names: dict[tuple[str, int], tuple[str, int]]
) -> dict[str, Any]:
    name, size = names.get((found.source_id, found.document), (None, 0))
    source = index.source_ids.index(found.source_id)
    first, after = (index.tokens.first_document(each) for each in (source, source + 1))
    begin, end = index.tokens.span_of(first + found.document)
    cut = first + found.document == after - 1  # less than a window at the end is not trained on
    if tokens is BYTES and not (end - begin == size or (cut and end - begin <= size)):
        name = None  # its text holds what separates documents
    return {
        "source_id": found.source_id,
        "kind": found.kind,
        "document": name,
        "number": found.document,
        "position": found.position,
        "characters": found.characters,
        "matched": found.matched,
        "places": found.places,
        "begin": found.begin,
        "end": found.end,
        "text": found.text,
    }


def _documents(project: Project) -> dict[tuple[str, int], tuple[str, int]]:
    """Id and bytes of every document that was trained on, by source and number."""
    with open_tables(project.lake_root, "corpus_documents") as connection:
        rows = connection.execute(_DOCUMENTS, [lineage(project).corpus_run]).fetchall()
    return {(source_id, place): (document_id, size) for source_id, place, document_id, size in rows}


def _places(project: Project) -> tuple[Path, Path]:
    """Of the snapshot, and of its index."""
    corpus_run = lineage(project).corpus_run
    return project.artifacts / corpus_run, project.workdir / INDEXES / corpus_run
