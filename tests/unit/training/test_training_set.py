"""The training set that a user draws batches from is, example for example, the one that the workers map."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.projects import write_project
from tests.unit.corpus.snapshots import CORPORA, of_columns, write_earlier
from tribute.config import load_project
from tribute.corpus import Corpus, read_corpus, write_snapshot
from tribute.errors import MachineError
from tribute.training import TrainingSet, mapped_training_set, snapshot_training_set, training_set


def test_it_is_the_snapshots_before_there_is_one(tmp_path: Path) -> None:
    recordings = {"recordings": ["not-there-yet"], "replicates": 1}
    project = load_project(write_project(tmp_path / "press", training=recordings))
    found = training_set(project.corpus)
    assert not project.workdir.exists()
    write_snapshot(read_corpus(project.corpus), tmp_path / "snapshot")
    expected = snapshot_training_set(tmp_path / "snapshot")
    assert found.source_ids == expected.source_ids == ("daily", "recipes", "sports", "weather")
    assert np.array_equal(found.source_N, expected.source_N)
    assert len(found) == len(found.columns["tokens"]) > 100
    for name, column in expected.columns.items():
        assert found.columns[name].dtype == column.dtype
        assert np.array_equal(found.columns[name], column)


@pytest.mark.parametrize("make", CORPORA.values(), ids=CORPORA)
def test_batches_of_mapped_shards_are_those_of_memory_and_of_earlier_snapshots(
    tmp_path: Path, make: Callable[[Path], Corpus]
) -> None:
    corpus, rng, cpu = make(tmp_path), np.random.default_rng(0), torch.device("cpu")
    expected = TrainingSet.assemble({each.source.source_id: each.train for each in reversed(corpus.sources)})
    write_snapshot(corpus, tmp_path / "one")
    write_snapshot(corpus, tmp_path / "many", 200)
    write_earlier(corpus, tmp_path / "earlier")
    for name in ("one", "many", "earlier"):
        found = pickle.loads(pickle.dumps(snapshot_training_set(tmp_path / name)))
        assert found.source_ids == expected.source_ids
        assert found.counts.tolist() == expected.counts.tolist()
        for width in (None, 5, 40):
            indices_B = rng.integers(0, len(expected), 8)
            (batch, source_B), (own, own_B) = (each.batch(indices_B, cpu, width) for each in (found, expected))
            assert list(batch) == list(own)
            for column, values in own.items():
                assert batch[column].dtype == values.dtype and torch.equal(batch[column], values)
            assert source_B.dtype == own_B.dtype and torch.equal(source_B, own_B)


def test_twenty_megabytes_are_pickled_as_a_path(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 256, (160_000, 129)).astype(np.int16)
    rows = {"a": tokens[:90_000], "b": tokens[90_000:]}
    corpus = of_columns({name: ({"tokens": own}, {"tokens": own[:0]}) for name, own in rows.items()})
    write_snapshot(corpus, tmp_path / "snapshot")
    pickled = pickle.dumps(mapped_training_set(tmp_path / "snapshot"))
    assert (
        len(pickled) < 1000 < 20_000_000 < sum(each.stat().st_size for each in (tmp_path / "snapshot").iterdir())
    )
    found, chosen = pickle.loads(pickled), [159_999, 0, 89_999, 90_000]
    assert np.array_equal(found.columns["tokens"][chosen], tokens[chosen])
    less = pickle.loads(pickle.dumps(replace(found, source_N=found.source_N[:2], columns={"tokens": tokens[5:7]})))
    assert np.array_equal(less.columns["tokens"], tokens[5:7])
    (tmp_path / "snapshot").rename(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match=r"has no folder .*snapshot.*every machine of the cluster"):
        pickle.loads(pickled)
    in_memory = TrainingSet.assemble({name: {"tokens": own[:2]} for name, own in rows.items()})
    assert np.array_equal(pickle.loads(pickle.dumps(in_memory)).columns["tokens"], in_memory.columns["tokens"])
