"""The corpus by source: reading, checking, snapshots; queries; and detection of out-of-distribution queries."""

from tribute.corpus.columns import Column, MappedColumn, blocks
from tribute.corpus.content import READER, corpus_content
from tribute.corpus.encoding import TextFormat, text_format, text_windows
from tribute.corpus.out_of_distribution import OutOfDistribution, OutOfDistributionDetector
from tribute.corpus.queries import (
    Accounting,
    QueryTable,
    array_queries,
    column_queries,
    held_out_queries,
    idx_queries,
    text_queries,
)
from tribute.corpus.readers.usage import usage_queries
from tribute.corpus.reading import read_corpus
from tribute.corpus.snapshot import (
    Manifest,
    Part,
    has_snapshot,
    load_source,
    load_sources,
    map_part,
    ood_detector,
    open_part,
    read_manifest,
    write_snapshot,
)
from tribute.corpus.sources import Columns, Corpus, Duplicates, SourceExamples

__all__ = [
    "READER",
    "Accounting",
    "Column",
    "Columns",
    "Corpus",
    "Duplicates",
    "Manifest",
    "MappedColumn",
    "OutOfDistribution",
    "OutOfDistributionDetector",
    "Part",
    "QueryTable",
    "SourceExamples",
    "TextFormat",
    "array_queries",
    "blocks",
    "column_queries",
    "corpus_content",
    "has_snapshot",
    "held_out_queries",
    "idx_queries",
    "load_source",
    "load_sources",
    "map_part",
    "ood_detector",
    "open_part",
    "read_corpus",
    "read_manifest",
    "text_format",
    "text_queries",
    "text_windows",
    "usage_queries",
    "write_snapshot",
]
