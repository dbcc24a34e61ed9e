"""A seed whose full training diverges: no loss where a valuation chose it, an error where it is to judge."""

from pathlib import Path

import numpy as np
import pytest

from tests.e2e.cliff_task import BAD_SEED, write_examples
from tests.e2e.conftest import PERIOD
from tests.projects import write_project
from tests.unit.reporting import Noted
from tribute.catalog import MeasuredTraining
from tribute.config import load_project
from tribute.errors import SimulationError
from tribute.simulation import Unit
from tribute_jobs.compute.measurements import measured
from tribute_jobs.compute.retrains import Retrains
from tribute_jobs.context import open_context
from tribute_jobs.pipeline import run
from tribute_storage import open_tables


@pytest.mark.usefixtures("ray_cluster")
def test_a_valuation_goes_on_without_a_seed_that_diverges_and_an_evaluation_refuses_it(tmp_path: Path) -> None:
    path = write_project(
        tmp_path,
        corpus={"kind": "arrays", "path": "examples.parquet"},
        rights={},
        task={"name": "tests.e2e.cliff_task:SeedCliff"},
        training={"optimizer": "sgd", "learning_rate": 0.2, "batch_size": 20, "epochs": 9, "replicates": 1},
        queries={"kind": "held_out", "per_source": 4},
    )
    write_examples(path.parent / "examples.parquet")
    project = load_project(path)
    run(project, PERIOD, Noted(), "train")
    with open_context(project, Noted()) as context:
        wanted = [MeasuredTraining(1, seed, ("east",), np.nan, 1.0) for seed in (0, BAD_SEED)]
        queries, retrains = context.inputs.queries(PERIOD), Retrains(context)
        uses_Q = np.ones(len(queries.query_ids))
        found = [each.nats for each in measured(retrains, wanted, queries, uses_Q)]
        assert np.isfinite(found).tolist() == [True, False]
        folder = retrains.bank.folder / f"seed-{BAD_SEED}"
        before = sorted((each, each.stat().st_mtime_ns) for each in folder.rglob("*"))
        again = [each.nats for each in measured(Retrains(context), wanted, queries, uses_Q)]
        np.testing.assert_array_equal(again, found)
        assert sorted((each, each.stat().st_mtime_ns) for each in folder.rglob("*")) == before
        unit = Unit("without-east", (1,))
        with pytest.raises(SimulationError, match=f"under seed {BAD_SEED} diverged before"):
            Retrains(context).complete({BAD_SEED: [unit]})
        with pytest.raises(SimulationError, match="no longer finite"):
            retrains.complete({BAD_SEED + 1: [unit]})
    with open_tables(project.lake_root, "retrains") as lake:
        rows = lake.execute("select seed, removed, artifact_uri is null from retrains order by all").fetchall()
    diverged = [(seed, [], True) for seed in (BAD_SEED, BAD_SEED + 1)]
    assert rows == [(0, ["east"], False), *diverged]
