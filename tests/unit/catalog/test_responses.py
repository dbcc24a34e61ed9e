"""Learnt tokens are those of the project's corpus and training, in the order of the training set."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.storage.market import row
from tribute.catalog import Lineage, corpus_learnt_tokens, lineage
from tribute.config import load_project
from tribute_storage import SCHEMAS, Lake, open_tables

SOURCES, TOKENS, ELIGIBLE = ("alpha", "beta", "gamma", "zeta"), (400, 300, 200, 900), (280, 210, 140, 270)
FALLS = {0: (1.0, 2.0, 2.0, 1.0), 1: (3.0, 2.0, 2.0, 1.0)}


@pytest.fixture
def runs(tmp_path: Path) -> Lineage:
    path = tmp_path / "project.yaml"
    path.write_text("name: p\ncorpus: {kind: installed_docs}\nworkdir: data\n")
    return lineage(load_project(path))


def lake_of(
    folder: Path, runs: Lineage, eligible: tuple[int | None, ...], falls: dict[int, tuple[float, ...]]
) -> Lake:
    """A corpus and a training, and others that do not matter; rows in any order."""
    lake = Lake(folder / "lake")
    for run, times in ((runs.corpus_run, 1), ("corpus-other", 7)):
        columns = zip(SOURCES, TOKENS, eligible, strict=True)
        rows = [
            row("corpus_sources", run, source_id=s, tokens=times * t, eligible_tokens=e) for s, t, e in columns
        ]
        lake.append("corpus_sources", run, pa.Table.from_pylist(rows[::-1], SCHEMAS["corpus_sources"]))
    for run, times in ((runs.train_run, 1.0), ("train-other", -1.0)):
        rows = [
            row(
                "learning", run, source_id=s, replicate=r, loss_before_nats=5.0, loss_after_nats=5.0 - times * fall
            )
            for r, of in falls.items()
            for s, fall in zip(SOURCES, of, strict=True)
        ]
        lake.append("learning", run, pa.Table.from_pylist(rows[::-1], SCHEMAS["learning"]))
    return lake


@pytest.mark.parametrize(
    ("eligible", "falls", "learnt"),
    [
        (ELIGIBLE, FALLS, [400, 300, 200, 225]),
        ((None,) * 4, FALLS, [400, 300, 200, 450]),
        (ELIGIBLE, {}, [400, 300, 200, 450]),
        ((None,) * 4, {}, [400, 300, 200, 900]),
    ],
    ids=["both", "no text", "before this release", "neither"],
)
def test_what_is_known_of_text_and_training_counts(
    tmp_path: Path, runs: Lineage, eligible: tuple, falls: dict, learnt: list[float]
) -> None:
    lake = lake_of(tmp_path, runs, eligible, falls)
    with open_tables(lake.root) as connection:
        assert corpus_learnt_tokens(connection, runs.corpus_run, runs.train_run).tolist() == pytest.approx(learnt)
