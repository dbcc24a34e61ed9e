"""Corpora of every kind: training text, held-out text, and refused input."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.projects import article, write_corpus
from tribute.config import ArraysCorpusSettings, IdxCorpusSettings, TextCorpusSettings
from tribute.corpus import read_corpus
from tribute.errors import CorpusError


def text(path: Path, **settings: object) -> TextCorpusSettings:
    return TextCorpusSettings(kind="text", path=path, window=33, **settings)


def as_folder(root: Path) -> Path:
    for source in ("daily", "sports"):
        for number in range(5):
            path = root / "texts" / source / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(article(source, number))
    return root / "texts"


def as_jsonl(root: Path) -> Path:
    write_corpus(root / "corpus.jsonl", {"daily": 5, "sports": 5})
    return root / "corpus.jsonl"


def as_parquet(root: Path) -> Path:
    rows = [json.loads(line) for line in as_jsonl(root).read_text().splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), root / "corpus.parquet")
    return root / "corpus.parquet"


@pytest.mark.parametrize("write", [as_folder, as_jsonl, as_parquet])
def test_the_same_text_is_the_same_corpus_in_every_form(tmp_path: Path, write) -> None:
    corpus = read_corpus(text(write(tmp_path)))
    assert [each.source.source_id for each in corpus.sources] == ["daily", "sports"]
    assert corpus.sha256 == read_corpus(text(as_folder(tmp_path / "again"))).sha256
    for each in corpus.sources:
        held = [document for document in each.documents if document.held_out]
        part = sum(document.bytes for document in held) / sum(document.bytes for document in each.documents)
        assert 0.06 <= part <= 0.2
        assert each.train["tokens"].shape[1] == each.held_out["tokens"].shape[1] == 33
        assert each.tokens == each.train["tokens"].size


def test_held_out_text_is_not_in_training(tmp_path: Path) -> None:
    [daily, _] = read_corpus(text(as_jsonl(tmp_path))).sources
    trained = "".join(map(chr, daily.train["tokens"][:, 1:].reshape(-1)))
    held = "".join(map(chr, daily.held_out["tokens"][:, 1:].reshape(-1)))
    assert len(held) > 100
    assert not [begin for begin in range(0, len(held) - 40, 10) if held[begin : begin + 40] in trained]


def write_arrays(path: Path, features: list, labels: list, sources: list) -> ArraysCorpusSettings:
    pq.write_table(pa.table({"source": sources, "features": features, "label": labels}), path)
    return ArraysCorpusSettings(kind="arrays", path=path, held_out=0.25)


def test_arrays_keep_every_example_once(tmp_path: Path) -> None:
    features = [[float(number), 0.5] for number in range(12)]
    corpus = read_corpus(write_arrays(tmp_path / "a.parquet", features, list(range(12)), ["b", "a", "a"] * 4))
    seen = [x for each in corpus.sources for part in (each.train, each.held_out) for x in part["features"][:, 0]]
    assert sorted(seen) == list(range(12))
    assert [(each.tokens, len(each.held_out["labels"])) for each in corpus.sources] == [(6, 2), (3, 1)]


def write_idx(path: Path, values: np.ndarray) -> Path:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))
    return path


def idx(root: Path, assigned: str) -> IdxCorpusSettings:
    (root / "sources.txt").write_text(assigned)
    images = write_idx(root / "images.gz", np.arange(4 * 2 * 3).reshape(4, 2, 3))
    labels = write_idx(root / "labels.gz", np.array([0, 1, 2, 3]))
    return IdxCorpusSettings(kind="idx", images=images, labels=labels, assignment=root / "sources.txt", held_out=0)


def test_idx_files_are_scaled_and_assigned_line_by_line(tmp_path: Path) -> None:
    [a, b] = read_corpus(idx(tmp_path, "b\na\nb\n")).sources
    assert a.train["labels"].tolist() == [1]
    assert b.train["labels"].tolist() == [0, 2]
    np.testing.assert_allclose(a.train["features"], [np.arange(6, 12) / 255], rtol=1e-6)


def jsonl(root: Path, *rows: object) -> TextCorpusSettings:
    (root / "bad.jsonl").write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return text(root / "bad.jsonl")


LONG = article("daily", 1)
BAD = {
    "missing column": (
        lambda root: jsonl(root, {"source": "a", "text": LONG}, {"origin": "b", "text": LONG}),
        r"bad\.jsonl, row 2 has no column source\. It has: origin, text\..*under `corpus`",
    ),
    "not json": (lambda root: jsonl(root, "{oops"), r"row 1: not JSON"),
    "empty text": (lambda root: jsonl(root, {"source": "a", "text": "  "}), r"row 1: column 'text'"),
    "empty source": (
        lambda root: jsonl(root, {"source": "a", "text": LONG}, {"source": "b", "text": "too short"}),
        r"Source 'b' is empty.*window of 33 bytes.*Add text",
    ),
    "one source": (lambda root: jsonl(root, {"source": "a", "text": LONG}), "at least two sources.*: a"),
    "no file": (lambda root: text(root / "nowhere.jsonl"), r"does not exist\. Correct corpus\.path"),
    "parquet column": (
        lambda root: text(as_parquet(root), source_column="site"),
        r"corpus\.parquet has no column site\. It has: source, text",
    ),
    "NaN": (
        lambda root: write_arrays(root / "n.parquet", [[1.0], [float("nan")]], [0, 1], ["a", "b"]),
        r"n\.parquet, row 2: features hold NaN",
    ),
    "ragged": (
        lambda root: write_arrays(root / "n.parquet", [[1.0], [1.0, 2.0]], [0, 1], ["a", "b"]),
        "lists of numbers, all of one length",
    ),
    "labels": (
        lambda root: write_arrays(root / "n.parquet", [[1.0], [2.0]], [0.5, 1.0], ["a", "b"]),
        "labels must be whole numbers",
    ),
    "too many lines": (lambda root: idx(root, "a\nb\nc\nd\ne\n"), "has 5 lines, .* only 4 images"),
    "empty line": (lambda root: idx(root, "a\n\nb\n"), "row 2: the source is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_names_the_place_and_the_remedy(tmp_path: Path, name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(CorpusError, match=message):
        read_corpus(make(tmp_path))


def test_a_file_outside_any_source_and_bad_utf8_are_refused(tmp_path: Path) -> None:
    root = as_folder(tmp_path)
    (root / "loose.txt").write_text("x")
    with pytest.raises(CorpusError, match=r"files outside any source: loose\.txt"):
        read_corpus(text(root))
    (root / "loose.txt").unlink()
    (root / "daily" / "0.txt").write_bytes(b"ab\xff")
    with pytest.raises(CorpusError, match=r"0\.txt, line 1: byte 0xff is not UTF-8"):
        read_corpus(text(root))


def test_the_search_for_copies_tells_how_far_it_is(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.jsonl", {"daily": 4, "sports": 3})
    told = list[tuple[float, int]]()
    settings = TextCorpusSettings(kind="text", path=tmp_path / "corpus.jsonl", window=33)
    read_corpus(settings, lambda done, total: told.append((done, total)))
    assert told == 2 * [(done, 7) for done in range(8)]
