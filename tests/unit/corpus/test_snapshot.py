"""Snapshots return the written content; an interrupted write leaves no snapshot."""

from pathlib import Path

import numpy as np
import pytest

from tests.projects import write_corpus
from tribute.config import TextCorpusSettings
from tribute.corpus import load_source, read_corpus, read_manifest, write_snapshot
from tribute.errors import CorpusError


def test_a_snapshot_is_the_corpus(tmp_path: Path) -> None:
    write_corpus(tmp_path / "c.jsonl", {"daily": 5, "sports": 5})
    corpus = read_corpus(TextCorpusSettings(kind="text", path=tmp_path / "c.jsonl", window=33))
    write_snapshot(corpus, tmp_path / "snapshot")
    manifest = read_manifest(tmp_path / "snapshot")
    assert (manifest.sha256, manifest.inputs) == (corpus.sha256, corpus.inputs)
    for examples, entry in zip(corpus.sources, manifest.sources, strict=True):
        assert (entry.source_id, entry.tokens) == (examples.source.source_id, examples.tokens)
        for part, columns in (("train", examples.train), ("held_out", examples.held_out)):
            found = load_source(tmp_path / "snapshot", entry.source_id, part)
            np.testing.assert_array_equal(found["tokens"], columns["tokens"])
            assert found["tokens"].dtype == columns["tokens"].dtype


def test_without_its_manifest_there_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="Read the corpus first"):
        read_manifest(tmp_path)
