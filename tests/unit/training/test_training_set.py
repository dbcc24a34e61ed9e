"""The training set that a user draws batches from is, example for example, the one that the workers train on."""

import numpy as np

from tests.projects import write_project
from tribute.config import load_project
from tribute.corpus import load_source, read_corpus, read_manifest, write_snapshot
from tribute.training import TrainingSet, training_set


def test_it_is_the_snapshots_before_there_is_one(tmp_path) -> None:
    recordings = {"recordings": ["not-there-yet"], "replicates": 1}
    project = load_project(write_project(tmp_path / "press", training=recordings))
    found = training_set(project.corpus)
    assert not project.workdir.exists()
    write_snapshot(read_corpus(project.corpus), tmp_path / "snapshot")
    names = [source.source_id for source in read_manifest(tmp_path / "snapshot").sources]
    kept = {name: load_source(tmp_path / "snapshot", name, "train") for name in reversed(names)}
    expected = TrainingSet.assemble(kept)
    assert found.source_ids == expected.source_ids == ("daily", "recipes", "sports", "weather")
    assert np.array_equal(found.source_N, expected.source_N)
    assert len(found) == len(found.columns["tokens"]) > 100
    for name, column in expected.columns.items():
        assert found.columns[name].dtype == column.dtype
        assert np.array_equal(found.columns[name], column)
