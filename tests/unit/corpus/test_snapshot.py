"""Snapshots: the same bits come back, and a write that was killed is not taken for a finished one."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.corpus.small import idx_settings, refusal, sentence, text_settings, write_folder, write_jsonl
from tribute.corpus import Corpus, load_source, read_corpus, read_manifest, write_snapshot
from tribute.corpus.snapshot import MANIFEST

ODD_NAMES = ["../up", "a/b", "C:\\x", "name with spaces", "ü", "."]


def equal(corpus: Corpus, folder: Path) -> bool:
    pairs = [
        (values, load_source(folder, each.source.source_id, part)[name])
        for each in corpus.sources
        for part, columns in (("train", each.train), ("held_out", each.held_out))
        for name, values in columns.items()
    ]
    return all(one.dtype == other.dtype and np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("held_out", [0, 0.25])
def test_text_comes_back_bit_for_bit(tmp_path: Path, held_out: float) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path / "c", {"a": 4, "b": 3}), held_out=held_out))
    write_snapshot(corpus, tmp_path / "snapshot")
    assert equal(corpus, tmp_path / "snapshot")


@pytest.mark.parametrize("held_out", [0, 0.3])
def test_arrays_come_back_bit_for_bit(tmp_path: Path, held_out: float) -> None:
    corpus = read_corpus(idx_settings(tmp_path, list("aabbab"), held_out=held_out))
    write_snapshot(corpus, tmp_path / "snapshot")
    assert equal(corpus, tmp_path / "snapshot")


def test_the_manifest_says_what_the_corpus_is(tmp_path: Path) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path / "c", {"a": 4, "b": 3})))
    write_snapshot(corpus, tmp_path / "snapshot")
    manifest = read_manifest(tmp_path / "snapshot")
    assert (manifest.sha256, manifest.inputs) == (corpus.sha256, corpus.inputs)
    assert [(s.source_id, s.tokens, s.sha256) for s in manifest.sources] == [
        (each.source.source_id, each.tokens, each.sha256) for each in corpus.sources
    ]


def test_any_source_id_can_be_stored(tmp_path: Path) -> None:
    rows = [{"source": name, "text": sentence(f"{name}{i}")} for name in ODD_NAMES for i in range(2)]
    corpus = read_corpus(text_settings(write_jsonl(tmp_path / "c.jsonl", rows)))
    folder = tmp_path / "deep" / "snapshot"
    write_snapshot(corpus, folder)
    assert equal(corpus, folder)
    assert len(list(folder.iterdir())) == 2 * len(ODD_NAMES) + 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["snapshot"]


def test_a_killed_write_leaves_no_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path / "c", {"a": 4, "b": 3})))
    folder = tmp_path / "snapshot"
    write, written = Path.replace, []

    def killed(path: Path, target: Path) -> Path:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(target.name)
        return write(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_snapshot(corpus, folder)
    monkeypatch.undo()
    assert MANIFEST not in written
    assert "does not exist. Read the corpus first" in refusal(lambda: read_manifest(folder))
    write_snapshot(corpus, folder)
    assert equal(corpus, folder)


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = read_corpus(text_settings(write_folder(tmp_path / "c", {"a": 4, "b": 3})))
    write, written = Path.replace, []
    monkeypatch.setattr(
        Path, "replace", lambda path, target: (written.append(target.name), write(path, target))[1]
    )
    write_snapshot(corpus, tmp_path / "snapshot")
    assert written.index(MANIFEST) == len(written) - 1 == 4
