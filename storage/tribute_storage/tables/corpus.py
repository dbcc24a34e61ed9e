"""Tables of the corpus: sources and documents."""

import pyarrow as pa

from tribute_storage.columns import COUNT, LICENSE, SOURCE, TEXT, VERSION, column, optional, table

TABLES: dict[str, pa.Schema] = {
    "projects": table(
        "One row: the project whose lake this is.",
        column("project", TEXT, "name of the project"),
        sort_by=("project",),
    ),
    "corpus_sources": table(
        "One row per source of a corpus as it was read.",
        SOURCE,
        column("title", TEXT, "name of the source for people"),
        column("publisher", TEXT, "publisher named by the source's own metadata"),
        VERSION,
        LICENSE,
        column("documents", COUNT, "documents of the source that may be trained on"),
        column("held_out_documents", COUNT, "documents kept for queries, never trained on"),
        column("bytes", COUNT, "size of the source's documents, bytes"),
        column("tokens", COUNT, "training tokens (text) or examples (arrays)"),
        column("examples", COUNT, "training examples"),
        column("held_out_examples", COUNT, "held-out examples"),
        column("sha256", TEXT, "SHA-256 over the source's content, hexadecimal"),
        optional(
            "eligible_tokens",
            COUNT,
            "training tokens in words new to the source and in an order that makes sense; empty: not text, or "
            "read by an earlier release",
            since=2,
        ),
        sort_by=("source_id",),
    ),
    "corpus_documents": table(
        "One row per document of a corpus, in training or held out.",
        SOURCE,
        column("document_id", TEXT, "the document within its source"),
        column("sha256", TEXT, "SHA-256 of the document's content, hexadecimal"),
        column("bytes", COUNT, "size of the document, bytes"),
        column("held_out", pa.bool_(), "true: kept for queries, never trained on"),
        VERSION,
        LICENSE,
        optional(
            "place",
            COUNT,
            "number of the document among those of its source that are trained on, or held out, from 0; empty: "
            "read by an earlier release",
            since=2,
        ),
        sort_by=("source_id", "document_id"),
    ),
    "corpus_duplicates": table(
        "One row per pair of sources of which one holds text or examples that are credited to the other.",
        SOURCE,
        column(
            "credited_source_id",
            TEXT,
            "the source that claimed them first; the same where a source repeats itself",
        ),
        column("kind", TEXT, "exact or near: left out as a whole; passage: cut out of documents that stay"),
        column("documents", COUNT, "documents of the source (text) or examples (arrays)"),
        sort_by=("source_id", "credited_source_id"),
    ),
}
