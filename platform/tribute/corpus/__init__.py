"""The corpus by source: reading, checking, windows of text, snapshots, and the queries asked of the model."""

from tribute.corpus.familiarity import Familiarity, Likeness
from tribute.corpus.ingestion import ingested_queries, usage_events
from tribute.corpus.queries import (
    Accounting,
    QueryTable,
    array_queries,
    held_out_queries,
    idx_queries,
    text_queries,
)
from tribute.corpus.reading import read_corpus, verify_inputs
from tribute.corpus.snapshot import (
    Manifest,
    corpus_familiarity,
    load_source,
    read_manifest,
    write_snapshot,
)
from tribute.corpus.sources import Corpus, Duplicates, InputFile, Source, SourceExamples
from tribute.corpus.usage import usage_queries

__all__ = [
    "Accounting",
    "Corpus",
    "Duplicates",
    "Familiarity",
    "InputFile",
    "Likeness",
    "Manifest",
    "QueryTable",
    "Source",
    "SourceExamples",
    "array_queries",
    "corpus_familiarity",
    "held_out_queries",
    "idx_queries",
    "ingested_queries",
    "load_source",
    "read_corpus",
    "read_manifest",
    "text_queries",
    "usage_events",
    "usage_queries",
    "verify_inputs",
    "write_snapshot",
]
