"""`tribute evaluate` on models that were trained elsewhere: two recorded loops, and a bare checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.e2e.conftest import PERIOD
from tests.projects import RETRAINED, write_project
from tribute.catalog import retrain_bank
from tribute.config import Project, load_project
from tribute.files.tensors import read_tensors
from tribute.tasks import build_task
from tribute.training import Recorder, training_set
from tribute_jobs.period.statements import latest_statements
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

EVALUATION = {"seeds": 1, "subsets": 10, "brittle_queries": 0, "resamples": 100}
SGD = {"optimizer": "sgd", "momentum": 0.5, "replicates": 2}
RATE, STEPS, FURTHER = 0.3, 12, 4


def write(folder: Path, **sections: object) -> Project:
    """Queries enough to tune and to judge, few retrains, and three trainings for the values."""
    own = {
        "corpus": {"kind": "text", "path": "corpus.jsonl", "window": 33, "held_out": 0.25},
        "evaluation": EVALUATION,
        "queries": {"kind": "held_out", "per_source": 8},
        "valuation": RETRAINED,
    }
    return load_project(write_project(folder, **(own | sections)))


def loop(project: Project, seed: int, recording: Path | None = None, without: int = -1) -> nn.Module:
    """A training loop of one's own; a source's examples may have the weight 0."""
    task, data = build_task(project.task).task, training_set(project.corpus)
    torch.manual_seed(seed)
    model = task.build()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.5)
    recorder = Recorder(recording, model, optimizer, task=task, data=data) if recording else None
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        indices = rng.permutation(len(data))[:8]
        if recorder:
            recorder.batch(indices.tolist())
        batch, source_B = data.batch(indices, torch.device("cpu"))
        optimizer.zero_grad()
        (task.training_loss(model, batch) * (source_B != without)).mean().backward()
        optimizer.step()
    if recorder:
        recorder.close()
    return model


def evaluated(project: Project) -> tuple[dict, str]:
    """The certificate's figures, and the certificate page."""
    output = run(project, PERIOD, JsonReporter(), last="evaluate").outputs["evaluate"]
    with open_tables(project.lake_root) as lake:
        sql = "select json from certificates where run_id = $1"
        [(content,)] = lake.execute(sql, [output.run_id]).fetchall()
    return json.loads(content), (project.workdir / "certificates" / f"{output.run_id}.html").read_text()


def trainings(project: Project) -> list[tuple[int, tuple[str, ...]]]:
    """Trainings that the values learnt from: seed and sources left out."""
    with open_tables(project.lake_root) as lake:
        rows = lake.execute("select distinct seed, removed from measurements").fetchall()
    return [(seed, tuple(removed)) for seed, removed in rows]


def banked(project: Project) -> dict[tuple[int, tuple[str, ...]], Path]:
    """Files of the bank by seed and sources left out; () is the full training."""
    with open_tables(project.lake_root) as lake:
        sql = "select seed, removed, artifact_uri from retrains where bank = $1"
        rows = lake.execute(sql, [retrain_bank(project)]).fetchall()
    return {(seed, tuple(removed)): project.workdir / uri for seed, removed, uri in rows}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Project:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("recorded")
    names = ("seed-0", "seed-1")
    project = write(folder, training=SGD | {"recordings": list(names)})
    for seed, name in enumerate(names):
        loop(project, seed, folder / name)
    return project


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Project:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("checkpoint")
    project = write(
        folder,
        training=SGD | {"batch_size": 8, "checkpoint": "model.safetensors"},
        simulation={"base": "continue", "steps": FURTHER, "learning_rate": RATE},
    )
    save_file(loop(project, 0).state_dict(), folder / "model.safetensors")
    return project


def settled_kinds(project: Project) -> set[str | None]:
    """How the statements of the month say that the model was trained without sources."""
    run(project, PERIOD, JsonReporter())
    return {each.repetition for each in latest_statements(project, PERIOD)}


def test_recorded_loops_are_judged_by_their_replays(recorded: Project) -> None:
    run(recorded, PERIOD, JsonReporter(), last="value")
    before, learnt = banked(recorded), trainings(recorded)
    assert len(learnt) == 3 and set(learnt) == set(before)  # the values' own trainings are in the bank
    found, page = evaluated(recorded)
    retrains = found["retrains"]
    assert (retrains["repetition"], retrains["seeds"]) == ("replayed", [0, 1])
    assert retrains["banked"] + retrains["new"] == 2 * (4 + 6)  # single ones, which are the tenths, and halves
    assert retrains["banked"] == 3 and len(banked(recorded)) == 3 + retrains["new"]
    assert retrains["drift"] < 1e-4 and "the replays end within" in page
    assert "The 2 recorded training(s) were replayed" in page and "really trained again" not in page
    rows = {row["method"]: row for row in found["rows"]}
    assert rows["difference, 2 replicates"]["lds_half_other_seed"] is not None
    assert found["tail_patch"] is not None and found["ceiling"]["lds_half"] is not None
    assert settled_kinds(recorded) == {"replayed"}
    assert any("2 recorded training(s)" in warning for warning in found["warnings"])


def test_a_replay_without_a_source_is_the_loop_with_its_weights_at_0(recorded: Project) -> None:
    evaluated(recorded)
    data, whole = training_set(recorded.corpus), loop(recorded, 1).state_dict()
    for source, name in enumerate(data.source_ids):
        response = read_tensors(banked(recorded)[1, (name,)])
        without = loop(recorded, 1, without=source).state_dict()
        for key, found in response.items():
            difference = whole[key] - without[key]
            assert (found - difference).norm() < 1e-3 * difference.norm() + 1e-6, (name, key)


def test_a_checkpoint_is_judged_by_further_training(checkpoint: Project) -> None:
    run(checkpoint, PERIOD, JsonReporter(), last="value")
    before, learnt = banked(checkpoint), trainings(checkpoint)
    assert {key for key in before if key[1]} == set(learnt) and len(learnt) == 3
    found, page = evaluated(checkpoint)
    retrains = found["retrains"]
    assert (retrains["repetition"], retrains["steps"], retrains["drift"]) == ("continued", FURTHER, None)
    assert retrains["seeds"] == [1_000_000]
    own = [key for key in learnt if key[0] == 0]
    assert retrains["banked"] == len(own) > 0
    assert "It was trained further for 4 steps" in page and "really trained again" not in page
    assert any("before it is not taken out" in warning for warning in found["warnings"])
    assert found["tail_patch"] is None
    [paid] = [row for row in found["rows"] if row["method"] == "tribute, as paid"]
    rows = {row["method"]: row for row in found["rows"]}
    simulated = rows["difference, 2 replicates"]["prepare_in_trainings"]
    assert settled_kinds(checkpoint) == {"continued"}
    assert simulated == 2 * (1 + 4)  # four sources and none, of two seeds, each as long as a further training
    assert paid["prepare_in_trainings"] > simulated + 3
