"""Usage events from a file to the lake, and the queries of a month of ingested events.

The lake keeps the content of an event only if the project attributes ingested events (`queries.kind: ingested`).
Otherwise it keeps the content's hash.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tribute.corpus.encoding import TextFormat
from tribute.corpus.queries import (
    Accounting,
    QueryTable,
    content_digest,
    feature_matrix,
    text_content,
    vector_contents,
)
from tribute.corpus.readers.usage import OPTIONAL, Usage, content_columns, read_usage
from tribute.errors import CorpusError
from tribute.ids import excerpt
from tribute_storage import SCHEMAS, open_tables

MONTH = """
WITH month AS (SELECT * FROM usage WHERE period = $1), kept AS (
    SELECT content_sha256, min(content_json) AS content_json FROM usage_events
    WHERE content_sha256 IN (SELECT content_sha256 FROM month WHERE content_json IS NULL) GROUP BY content_sha256
)
SELECT m.* REPLACE (coalesce(m.content_json, k.content_json) AS content_json)
FROM month m LEFT JOIN kept k USING (content_sha256)
"""
"""Content kept for one event serves every event with the same hash, including earlier ones ingested without it."""


def usage_events(path: Path, window: TextFormat | int | None, keep_content: bool) -> pa.Table:
    """The events of a usage file, as `tribute_storage.usage.ingest` takes them.

    Args:
        window: bytes per row of a text model, or its format; None for a model of feature vectors.
        keep_content: whether the lake keeps text and prompt, or features and label. Otherwise: their SHA-256.

    Raises:
        CorpusError: names the file, the row and the column that are wrong. Unlike a query, an event needs a time.
    """
    usage = read_usage(path, window)
    times = usage.accounting.times or []
    if None in times:
        raise CorpusError(
            f"{path}, row {times.index(None) + 1}: column 'time' is empty. An event needs one, such as "
            "2026-10-05T12:00:00+00:00, to belong to a month"
        )
    try:
        digests, contents = _contents(usage)
    except CorpusError as error:
        raise CorpusError(f"{path}: {error}") from None
    columns = {
        "query_id": usage.query_ids,
        "time": times,
        "customer_id": usage.accounting.customers,
        "weight": usage.accounting.weights,
        "inclusion_probability": usage.accounting.inclusion,
        "content_sha256": digests,
        "content_json": contents if keep_content else [None] * len(digests),
    }
    schema = SCHEMAS["usage_events"]
    return pa.table(columns, schema=pa.schema([schema.field(name) for name in columns]))


def ingested_queries(lake_root: Path | str, period: str, window: TextFormat | int | None) -> QueryTable:
    """The queries of a month of ingested events, the same as from a usage file with these events.

    Raises:
        CorpusError: the content of some events was not kept, or does not match its hash.
    """
    with open_tables(lake_root, "usage_events") as connection:
        rows = connection.sql(MONTH, params=[period]).to_arrow_table().to_pylist()
    columns = content_columns(window)
    needed = [name for name in columns if name not in OPTIONAL]
    contents = [json.loads(row["content_json"] or "{}") for row in rows]
    pairs = zip(rows, contents, strict=True)
    lacking = [row["query_id"] for row, content in pairs if not content.keys() >= set(needed)]
    if lacking:
        raise CorpusError(
            f"{len(lacking)} of {len(rows)} queries of {period}, such as {excerpt(min(lacking))}, were ingested "
            f"without their {' and '.join(needed)} and cannot be attributed. Ingest their files again, now that "
            "queries.kind is ingested, to keep their content"
        )
    names = ("time", "customer_id", "weight", "inclusion_probability")
    accounting = Accounting(*([row[name] for row in rows] for name in names))
    found = {name: [content.get(name) for content in contents] for name in columns}
    queries = Usage([row["query_id"] for row in rows], accounting, found).queries(window)
    _require_unchanged(queries, {row["query_id"]: row["content_sha256"] for row in rows}, period)
    return queries


def _require_unchanged(queries: QueryTable, hashed: dict[str, str], period: str) -> None:
    changed = [key for key, sha in zip(queries.query_ids, queries.digests, strict=True) if hashed[key] != sha]
    if changed:
        raise CorpusError(
            f"The content of query {excerpt(changed[0])} of {period} in the lake does not match the hash taken "
            "when it was ingested: it was changed since. Restore the lake from a copy"
        )


def _contents(usage: Usage) -> tuple[Sequence[str], list[str]]:
    """SHA-256 and canonical JSON of each event's content."""
    texts = usage.contents.get("text")
    if texts is not None:
        pairs = list(zip(texts, usage.contents["prompt"], strict=True))
        digests = [content_digest(text_content(text, prompt)) for text, prompt in pairs]
        prompts = [{"prompt": prompt} if prompt else {} for _, prompt in pairs]
        return digests, [_canonical(each | {"text": text}) for each, text in zip(prompts, texts, strict=True)]
    values = feature_matrix(usage.query_ids, usage.contents["features"])
    classes = np.array(usage.contents["label"], dtype=np.int64)
    vectors = zip(values.tolist(), classes.tolist(), strict=True)
    kept = [_canonical({"features": features, "label": label}) for features, label in vectors]
    return [content_digest(content) for content in vector_contents(values, classes)], kept


def _canonical(content: dict[str, object]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
