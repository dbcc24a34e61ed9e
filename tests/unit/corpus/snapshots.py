"""Corpora to keep as snapshots, and a snapshot as releases before shards wrote it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.unit.corpus.small import idx_settings, sentence, text_settings, write_jsonl
from tribute.corpus import Columns, Corpus, SourceExamples, read_corpus
from tribute.corpus.sources import Source
from tribute.files.sealed import write_sealed

PARTS = ("train", "held_out")


def of_columns(by_source: dict[str, tuple[Columns, Columns]]) -> Corpus:
    """A corpus of what each source trains on and holds out."""
    sources = (SourceExamples(Source(name, name, name), *parts, ()) for name, parts in by_source.items())
    return Corpus(tuple(sources), {"file c": "0"})


def text(folder: Path) -> Corpus:
    """Plain text of three sources, the second larger than the others together."""
    counts = {"a": 3, "b": 12, "c": 4}
    rows = [{"source": s, "text": sentence((s, i))} for s, count in counts.items() for i in range(count)]
    return read_corpus(text_settings(write_jsonl(folder / "text.jsonl", rows)))


def prompts(folder: Path) -> Corpus:
    """Prompts with completions: rows with targets, padding, and gaps between the rows that are kept."""
    rows = [
        {"source": s, "prompt": sentence("asked by all", 20), "completion": sentence((s, i), 12)}
        for s in "ab"
        for i in range(6)
    ]
    columns = {"prompt_column": "prompt", "completion_column": "completion"}
    return read_corpus(text_settings(write_jsonl(folder / "prompts.jsonl", rows), **columns))


def arrays(folder: Path) -> Corpus:
    """Images with labels."""
    return read_corpus(idx_settings(folder, list("abcabcabcabc"), 12, held_out=0.25))


def drawn(seed: int) -> Corpus:
    """Rows of few tokens, which continue each other by chance, beside other columns; sources may be empty."""
    rng = np.random.default_rng(seed)
    low, high, width = int(rng.integers(-3, 1)), int(rng.choice([1, 2, 300, 70_000])), int(rng.integers(1, 5))
    dtype = rng.choice([np.int32, np.int64])

    def columns(rows: int) -> Columns:
        return {
            "tokens": rng.integers(low, high + 1, (rows, width)).astype(dtype),
            "target": rng.random((rows, width)) < 0.5,
            "images": rng.normal(size=(rows, 2, 3)).astype(np.float32),
            "score": rng.integers(-(2**62), 2**62, rows),
        }

    return of_columns(
        {name: (columns(int(rng.integers(0, 6))), columns(int(rng.integers(0, 3)))) for name in "bca"}
    )


CORPORA = {"text": text, "prompts": prompts, "arrays": arrays}


def write_earlier(corpus: Corpus, folder: Path) -> None:
    """A Parquet file for every source and part, and the manifest."""
    folder.mkdir()
    sources, files = [], {}
    for number, each in enumerate(corpus.sources):
        sources.append(
            {
                "source_id": each.source.source_id,
                "file": f"source-{number:05d}",
                "tokens": each.tokens,
                "sha256": each.sha256,
            }
        )
        for part in PARTS:
            path = folder / f"source-{number:05d}.{part}.parquet"
            pq.write_table(pa.table({n: _to_arrow(v) for n, v in getattr(each, part).items()}), path)
            files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = {"sha256": corpus.sha256, "sources": sources, "inputs": dict(corpus.inputs), "files": files}
    write_sealed(folder / "manifest.json", json.dumps(manifest).encode())


def _to_arrow(values: NDArray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])
