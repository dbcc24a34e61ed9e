"""Task, checkpoint, recordings and methods: refused before anything is trained."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.unit.jobs.checks.checking import MONTH, spoiled, subject
from tribute.errors import ConfigError, DamagedFile
from tribute.tasks import build_task
from tribute.training import Recorder, training_set
from tribute_jobs.checks import check_project
from tribute_jobs.checks.checklist import Passed
from tribute_jobs.checks.model import check_evaluation, check_methods, check_model, check_task
from tribute_jobs.context import Inputs

TRAINING = {"learning_rate": 0.01, "batch_size": 8, "epochs": 2, "replicates": 2}


def test_the_model_is_described(tmp_path: Path) -> None:
    seen = check_model(subject(spoiled(tmp_path)))
    assert seen.text == "7,920 parameters, 62 steps, 2 replicates"


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"batch_size": 10_000}, "training.batch_size is 10000, but the corpus has only"),
        ({"checkpoint": "gone.safetensors"}, "gone.safetensors cannot be read as safetensors"),
        ({"recordings": ["gone"], "replicates": 1}, "gone holds no recorded training"),
    ],
)
def test_a_training_that_cannot_begin_is_refused(tmp_path: Path, training: dict, said: str) -> None:
    base = {"base": "continue"} if "checkpoint" in training else {}
    project = spoiled(tmp_path, training=TRAINING | training, simulation=base)
    with pytest.raises(ConfigError, match=said):
        check_model(subject(project))


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    project = spoiled(
        tmp_path, training=TRAINING | {"checkpoint": "model.safetensors"}, simulation={"base": "continue"}
    )
    module = build_task(project.task).task.build()
    path, named = tmp_path / "model.safetensors", {n: v.clone() for n, v in module.state_dict().items()}
    safetensors.torch.save_file(named, path)
    assert check_model(subject(project)).text == "7,920 parameters, a checkpoint, 2 replicates"
    safetensors.torch.save_file({f"module.{name}": value for name, value in named.items()}, path)
    with pytest.raises(ConfigError, match=r"stores every parameter under the prefix 'module.'"):
        check_model(subject(project))


def shorten(folder: Path) -> None:
    """Half a state, as an interrupted copy leaves it."""
    path = folder / "step-00000000.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def lose_a_key(folder: Path) -> None:
    steps = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    del steps[-1]["rate"]
    (folder / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))


def ask_for_more(folder: Path) -> None:
    steps = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    steps[-1]["parts"][0][0] = 10**6
    (folder / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))


def reset(folder: Path) -> None:
    settings = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps(settings | {"momentum": 0.7}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: None, ""),
        (shorten, r"step-00000000\.safetensors is damaged: .*or record the training again"),
        (lose_a_key, "recorded holds no recorded training .'rate'"),
        (ask_for_more, "recorded example 1000000, but the corpus has 255 training examples"),
        (reset, "was recorded with other settings. Set in `training`:\n  momentum: 0.7"),
    ],
)
def test_a_recording_that_cannot_be_replayed_is_refused(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    sections = {"training": {"optimizer": "sgd", "momentum": 0.5, "replicates": 1, "recordings": ["recorded"]}}
    project = spoiled(tmp_path, **sections)
    task, data = build_task(project.task).task, training_set(project.corpus)
    torch.manual_seed(0)
    model = task.build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    recorder = Recorder(tmp_path / "recorded", model, optimizer)
    for start in range(3):
        indices = torch.arange(start, start + 4)
        recorder.batch(indices)
        batch, _ = data.batch(indices.numpy(), torch.device("cpu"))
        task.training_loss(model, batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    recorder.close()
    spoil(tmp_path / "recorded")
    with pytest.raises((ConfigError, DamagedFile), match=said) if said else nullcontext():
        assert check_model(subject(project)).text == "7,920 parameters, 3 steps, 1 replicates"


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"attribution": {"method": "trakk"}, "simulation": {}}, "trakk"),
        ({"attribution": {"method": "trak", "options": {"dim": 1}}, "simulation": {}}, "dim"),
        ({"simulation": {"notion": "shapley", "coalitions": 8}}, "Shapley values of 4 sources need at least 15"),
        ({"evaluation": {"estimators": ["trakk"]}}, "evaluation.estimators .* names 'trakk'"),
        (
            {
                "attribution": {"method": "trak"},
                "simulation": {"groups": 3},
                "valuation": {"estimates": [{"mode": "paired"}]},
            },
            "valuation.estimates would simulate each of 4 sources",
        ),
    ],
)
def test_methods_that_cannot_run_are_refused(tmp_path: Path, sections: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_methods(subject(spoiled(tmp_path, **sections)))


def test_an_evaluation_that_cannot_retrain_is_refused(tmp_path: Path) -> None:
    many = spoiled(tmp_path, attribution={"method": "trak"}, simulation={"groups": 3})
    with pytest.raises(ConfigError, match="evaluate would retrain without each of 4 sources, 12 trainings in all"):
        check_evaluation(subject(many, last="evaluate"))
    assert check_evaluation(subject(many)) is None


def test_an_evaluation_says_how_an_adopted_model_is_trained_without_sources(tmp_path: Path) -> None:
    adopted = TRAINING | {"checkpoint": "m"}
    project = spoiled(tmp_path, training=adopted, simulation={"base": "continue"}, evaluation={"seeds": 3})
    passed = check_evaluation(subject(project, last="evaluate"))
    assert passed == Passed("16 further trainings of the checkpoint without a source")
    recorded = TRAINING | {"recordings": ["a", "b"], "replicates": 2}
    project = spoiled(tmp_path, training=recorded, evaluation={"seeds": 3})
    passed = check_evaluation(subject(project, last="evaluate"))
    assert passed is not None and passed.text == "8 replays of the recordings without a source"
    assert passed.warnings == ("A recording has one seed, so evaluation.seeds has no effect",)


@pytest.mark.parametrize(
    "name", ["tests.unit.jobs.checks.failing_tasks:build", "tests.unit.jobs.checks.failing_tasks:broken"]
)
def test_what_a_task_of_ones_own_raises_is_no_traceback(tmp_path: Path, name: str) -> None:
    checklist = check_project(Inputs(spoiled(tmp_path, task={"name": name})), MONTH)
    [problem] = [each for each in checklist.results if not each.fine]
    assert problem.name == "task" and "the licence server is down" in problem.detail


def test_a_query_that_the_model_cannot_take_is_named(tmp_path: Path) -> None:
    """A model of ASCII, asked about another byte."""
    project = spoiled(tmp_path, task={"name": "tests.unit.jobs.checks.failing_tasks:Narrow", "options": {}})
    assert check_task(subject(project)).text.startswith("Task")
    uses = [
        {"query_id": f"q{n}", "text": text, "time": f"{MONTH}-01T12:00:00Z"}
        for n, text in enumerate(("abc", "é~"))
    ]
    (tmp_path / "usage.jsonl").write_text("".join(json.dumps(use) + "\n" for use in uses))
    with pytest.raises(ConfigError, match="measurement fails for query 'q1'"):
        check_task(subject(project))


@pytest.mark.parametrize(
    ("readout", "said"),
    [
        ({"memory_gib": 0.00001}, "readout.memory_gib is 1e-05, but one query row and one source take"),
        pytest.param({"method": "jvp"}, "A layer of this model has no forward mode", marks=pytest.mark.slow),
    ],
)
def test_the_read_out_is_rehearsed_as_it_is_set(tmp_path: Path, readout: dict, said: str) -> None:
    task = {"name": "tests.unit.jobs.checks.failing_tasks:Backward", "options": {}}
    with pytest.raises(ConfigError, match=said):
        check_task(subject(spoiled(tmp_path, task=task, readout=readout)))
    assert check_task(subject(spoiled(tmp_path, task=task))).text.startswith("Task")


@pytest.mark.parametrize(
    "sections",
    [
        {"attribution": {"method": "magic"}, "simulation": {}},
        {"simulation": {"notion": "shapley", "coalitions": 8}},
        {"valuation": {"estimates": [{"method": "trak", "options": {"dim": 1}}]}},
    ],
)
def test_a_method_that_cannot_run_is_one_problem(tmp_path: Path, sections: dict) -> None:
    results = check_project(Inputs(spoiled(tmp_path, **sections)), MONTH).results
    assert [each.name for each in results if not each.fine] == ["methods"]
