"""Snapshots return the written content, whatever shards it lies in; a damaged or unfinished one is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.unit.corpus.snapshots import CORPORA, PARTS, drawn, of_columns, text, write_earlier
from tribute.corpus import (
    Corpus,
    MappedColumn,
    load_source,
    load_sources,
    map_part,
    open_part,
    read_manifest,
    write_snapshot,
)
from tribute.corpus.snapshot import has_snapshot, snapshot_files, writing
from tribute.errors import CorpusError, DamagedFile, MachineError


def require_same(corpus: Corpus, folder: Path) -> None:
    """The parts of a snapshot are the examples of the corpus, by id, bit for bit."""
    ordered = sorted(corpus.sources, key=lambda each: each.source.source_id)
    for part in PARTS:
        found, own = open_part(folder, part), [getattr(each, part) for each in ordered]
        assert found.source_ids == tuple(each.source.source_id for each in ordered)
        for name in corpus.sources[0].train:
            column, expected = found.columns[name], np.concatenate([each[name] for each in own])
            assert (column.dtype, column.shape) == (expected.dtype, expected.shape)
            assert np.asarray(column).tobytes() == expected.tobytes()
        for (source_id, columns), each in zip(load_sources(folder, part), ordered, strict=True):
            assert source_id == each.source.source_id
            assert {n: v.tobytes() for n, v in columns.items()} == {
                name: values.tobytes() for name, values in sorted(getattr(each, part).items())
            }


@pytest.mark.parametrize("shard_bytes", [2**27, 200, 1])
@pytest.mark.parametrize("make", CORPORA.values(), ids=CORPORA)
def test_a_snapshot_is_the_corpus(tmp_path: Path, make: Callable[[Path], Corpus], shard_bytes: int) -> None:
    corpus = make(tmp_path)
    write_snapshot(corpus, tmp_path / "snapshot", shard_bytes)
    manifest = read_manifest(tmp_path / "snapshot")
    assert (manifest.sha256, manifest.inputs) == (corpus.sha256, corpus.inputs)
    assert [(each.source_id, each.tokens, each.sha256) for each in manifest.sources] == [
        (each.source.source_id, each.tokens, each.sha256) for each in corpus.sources
    ]
    assert has_snapshot(tmp_path / "snapshot")
    assert (len(manifest.shards) == 2) == (shard_bytes == 2**27)
    require_same(corpus, tmp_path / "snapshot")


@pytest.mark.parametrize("seed", range(12))
def test_any_rows_come_back(tmp_path: Path, seed: int) -> None:
    corpus = drawn(seed)
    write_snapshot(corpus, tmp_path / "snapshot", 40 if seed % 2 else 2**20)
    require_same(corpus, tmp_path / "snapshot")


@pytest.mark.parametrize("make", CORPORA.values(), ids=CORPORA)
def test_a_snapshot_of_an_earlier_release_is_read(tmp_path: Path, make: Callable[[Path], Corpus]) -> None:
    corpus = make(tmp_path)
    write_earlier(corpus, tmp_path / "snapshot")
    assert has_snapshot(tmp_path / "snapshot")
    require_same(corpus, tmp_path / "snapshot")
    [path] = [path for path in snapshot_files(tmp_path / "snapshot", "train") if "00001" in path.name]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=r"source-00001\.train\.parquet is damaged"):
        open_part(tmp_path / "snapshot", "train")


def test_tokens_of_text_are_stored_once_in_a_byte_each(tmp_path: Path) -> None:
    corpus = text(tmp_path)
    write_snapshot(corpus, tmp_path / "snapshot")
    stored = sum(len(rows) * (rows.shape[1] - 1) + 1 for rows in (each.train["tokens"] for each in corpus.sources))
    [path] = snapshot_files(tmp_path / "snapshot", "train")
    assert path.stat().st_size < stored + 2 * 64


def test_small_sources_share_a_file_and_only_a_large_one_is_cut(tmp_path: Path) -> None:
    counts = {"a": 2, "b": 3, "c": 11, "d": 4, "e": 1, "f": 0}
    rows = {name: {"features": np.arange(count * 8.0).reshape(count, 8)} for name, count in counts.items()}
    write_snapshot(
        of_columns({n: (c, {k: v[:0] for k, v in c.items()}) for n, c in rows.items()}), tmp_path, 5 * 64
    )
    assert [shard.rows for shard in read_manifest(tmp_path).shards] == [5, 5, 5, 1 + 4, 1]
    assert load_source(tmp_path, "c", "train")["features"].tolist() == rows["c"]["features"].tolist()


def test_a_column_is_indexed_as_an_array(tmp_path: Path) -> None:
    write_snapshot(text(tmp_path), tmp_path / "snapshot", 100)
    column = open_part(tmp_path / "snapshot", "train").columns["tokens"]
    assert isinstance(column, MappedColumn)
    array, rng = column[:], np.random.default_rng(0)
    many = rng.integers(-len(array), len(array), 50)
    for chosen in (3, -1, np.int64(2), slice(5, 2), slice(None, None, -3), many, many.reshape(5, 10), [], [0, 0]):
        np.testing.assert_array_equal(column[chosen], array[chosen])
    mask = rng.random(len(array)) < 0.3
    np.testing.assert_array_equal(column[mask], array[mask])
    for wrong in (len(array), [-len(array) - 1], mask[1:]):
        with pytest.raises(IndexError):
            column[wrong]


def test_without_its_manifest_there_is_no_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorpusError, match="Read the corpus first"):
        read_manifest(tmp_path)
    corpus, write = text(tmp_path), writing.write_atomically

    def stopped(path: Path, content: bytes) -> None:
        if path.name == "train-00002.shard":
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(writing, "write_atomically", stopped)
        write_snapshot(corpus, tmp_path / "snapshot", 600)
    assert not has_snapshot(tmp_path / "snapshot") and list((tmp_path / "snapshot").iterdir())
    write_snapshot(corpus, tmp_path / "snapshot", 600)
    require_same(corpus, tmp_path / "snapshot")


@pytest.mark.parametrize(("part", "other"), [PARTS, PARTS[::-1]])
def test_a_damaged_or_missing_shard_is_refused_by_name(tmp_path: Path, part: str, other: str) -> None:
    folder = tmp_path / "snapshot"
    write_snapshot(text(tmp_path), folder, 600)
    path = folder / f"{part}-00000.shard"
    whole = path.read_bytes()
    flipped = bytes([whole[0] ^ 1]) + whole[1:]
    for content, problem in (
        (flipped, "damaged: its SHA-256"),
        (whole[:-1], "damaged: its SHA-256"),
        (None, "miss"),
    ):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(DamagedFile, match=rf"{part}-00000\.shard is {problem}.*tribute train PROJECT\.yaml"):
            open_part(folder, part)
        open_part(folder, other)
    assert not has_snapshot(folder)


def test_a_worker_that_does_not_see_the_files_says_which(tmp_path: Path) -> None:
    folder = tmp_path / "snapshot"
    write_snapshot(text(tmp_path), folder, 600)
    path = folder / "train-00001.shard"
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(DamagedFile, match=r"train-00001\.shard is damaged: it has .* bytes, expected"):
        map_part(folder, "train")
    path.unlink()
    with pytest.raises(DamagedFile, match=r"train-00001\.shard is missing"):
        map_part(folder, "train")
    shutil.rmtree(folder)
    with pytest.raises(MachineError, match=rf"has no folder {folder}.*every machine of the cluster"):
        map_part(folder, "train")
