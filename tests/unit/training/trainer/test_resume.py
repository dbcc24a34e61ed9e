"""A recording that goes on after a checkpoint is that of one run; another run is refused."""

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

import tribute
from tests.unit.training.trainer.runs import Run, corpus, trained
from tribute.errors import ConfigError
from tribute.training import Trajectory, adopt
from tribute.training.recording import STEPS

SAVING = {"save_strategy": "steps", "save_steps": 4, "max_steps": 8}


def interrupted(folder: Path) -> Run:
    """A run of eight steps; its states and lines after the last checkpoint are those of a run that went on."""
    run = Run(folder, corpus(), arguments=SAVING)
    run.train()
    return run


def test_steps_after_the_checkpoint_are_recorded_anew(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    before = (run.recorded / STEPS).read_text().splitlines()
    trainer = run.trainer()
    tribute.record(trainer, run.recorded, data=run.data, every=3, task=run.task)
    trainer.train(resume_from_checkpoint=str(run.folder / "out" / "checkpoint-4"))
    after = (run.recorded / STEPS).read_text().splitlines()
    assert len(after) == 8
    assert after[:4] == before[:4]
    assert Trajectory(run.recorded).steps() == [0, 4, 6, 8]
    assert run.drift(trained(trainer)) < 1e-4
    adopt(run.recipe, tmp_path / "adopted")


class Interruption(TrainerCallback):
    """Stops a training once, as a user does, between the micro-batches of a step."""

    stopped = False

    def on_substep_end(self, *given: Any, **_: Any) -> None:
        if given[1].global_step == 5 and not self.stopped:
            self.stopped = True
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_in_the_same_session(tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 2, "gradient_accumulation_steps": 2}
    run = Run(tmp_path, corpus(), arguments=saving)
    trainer = run.trainer(callbacks=[Interruption()])
    tribute.record(trainer, run.recorded, data=run.data, task=run.task)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert run.recipe.steps == 5
    adopt(run.recipe, tmp_path / "adopted")
    trainer.train(resume_from_checkpoint=True)
    assert run.recipe.steps == 6
    assert run.drift(trained(trainer)) < 1e-4


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run, other = interrupted(tmp_path / "one"), Run(tmp_path / "two", corpus(), arguments=SAVING | {"seed": 9})
    other.train()
    trainer = run.trainer()
    tribute.record(trainer, run.recorded, data=run.data)
    with pytest.raises(ConfigError, match=r"goes on from other parameters than .* recorded after step 4"):
        trainer.train(resume_from_checkpoint=str(other.folder / "out" / "checkpoint-4"))


def test_a_recording_that_is_too_short_or_of_other_settings_is_refused(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    changed = Run(tmp_path, run.data, arguments=SAVING | {"max_grad_norm": 0.5})
    trainer = changed.trainer()
    tribute.record(trainer, run.recorded, data=run.data)
    with pytest.raises(ConfigError, match=r"goes on with other settings than .* recorded: clip_norm"):
        trainer.train(resume_from_checkpoint=str(run.folder / "out" / "checkpoint-4"))
    lines = (run.recorded / STEPS).read_text().splitlines()
    (run.recorded / STEPS).write_text("\n".join(lines[:3]))
    for folder, message in (
        (run.recorded, "holds 3 steps"),
        (tmp_path / "none", "holds no recording of the steps"),
    ):
        trainer = run.trainer()
        tribute.record(trainer, folder, data=run.data)
        with pytest.raises(ConfigError, match=message):
            trainer.train(resume_from_checkpoint=str(run.folder / "out" / "checkpoint-4"))
