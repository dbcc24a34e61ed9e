"""Settings of a Trainer that cannot be replayed are refused before it trains, by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DataCollatorWithFlattening

import tribute
from tests.unit.training.trainer.runs import LORA, Run, corpus, distance, trained
from tribute.errors import ConfigError
from tribute.training import Trajectory, recorded_training

ARGUMENTS = {
    "label smoothing": ({"label_smoothing_factor": 0.1}, "label_smoothing_factor is 0.1"),
    "neftune": ({"neftune_noise_alpha": 5}, "neftune_noise_alpha adds noise"),
    "batch size found": ({"auto_find_batch_size": True}, "auto_find_batch_size begins anew"),
    "best model": (
        {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 2}
        | {"save_strategy": "steps", "save_steps": 2},
        "load_best_model_at_end ends with other parameters",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS.values(), ids=list(ARGUMENTS))
def test_arguments(tmp_path: Path, arguments: dict, message: str) -> None:
    run = Run(tmp_path, corpus(), arguments=arguments)
    trainer = run.trainer(eval_dataset=[1])
    with pytest.raises(ConfigError, match=message):
        tribute.record(trainer, run.recorded, data=run.data)
    assert not run.recorded.exists()


def test_dropout_in_packed_rows_is_refused_at_the_first_step(tmp_path: Path) -> None:
    """A replay has a row for each example, and draws by rows."""
    run = Run(tmp_path, corpus(), adapter=LORA | {"lora_dropout": 0.1})
    trainer = run.trainer(data_collator=DataCollatorWithFlattening())
    tribute.record(trainer, run.recorded, data=run.data)
    with pytest.raises(ConfigError, match="drops out units, and the Trainer's batch has several examples"):
        trainer.train()


def narrow(trainer: Any) -> None:
    trainer.model.to(torch.bfloat16)


def own_loss(trainer: Any) -> None:
    trainer.compute_loss_func = lambda *_, **__: 0


def weighted(trainer: Any) -> None:
    trainer.args.loss_type = "dft"  # of trl.SFTConfig


def balanced(trainer: Any) -> None:
    trainer.model.config.output_router_logits = True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (narrow, "21 parameters train in a precision below float32"),
        (own_loss, "compute_loss_func is a loss of your own"),
        (weighted, "loss_type is dft"),
        (balanced, "output_router_logits adds a loss that couples"),
    ],
)
def test_models_and_losses(tmp_path: Path, change: Any, message: str) -> None:
    run = Run(tmp_path, corpus())
    trainer = run.trainer()
    change(trainer)
    with pytest.raises(ConfigError, match=message):
        tribute.record(trainer, run.recorded, data=run.data)


def test_another_optimizer_is_refused_when_training_begins(tmp_path: Path) -> None:
    run = Run(tmp_path, corpus(), arguments={"optim": "adafactor"})
    with pytest.raises(ConfigError, match=r"Adafactor cannot be replayed. Use torch.optim.SGD, Adam or AdamW"):
        run.train()
    assert not run.recorded.exists()


def test_what_is_no_trainer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got a Linear, expected a transformers.Trainer"):
        tribute.record(torch.nn.Linear(1, 1), tmp_path, data=corpus())


def test_a_second_training_needs_a_folder_of_its_own(tmp_path: Path) -> None:
    run = Run(tmp_path, corpus(), arguments={"max_steps": 2, "optim": "sgd"})
    trainer = run.trainer()
    tribute.record(trainer, run.recorded, data=run.data)
    trainer.train()
    with pytest.raises(ConfigError, match="already holds a recording"):
        trainer.train()
    begun, second = trained(trainer), replace(run, folder=tmp_path / "second")
    tribute.record(trainer, second.recorded, data=run.data)
    trainer.train()
    assert distance(Trajectory(second.recorded).load(0).theta, begun) == 0
    assert second.adopted(trained(trainer)) < 1e-4


def test_recordings_of_one_setting_make_a_training_section(tmp_path: Path) -> None:
    runs = [
        Run(tmp_path / str(decay), corpus(), arguments={"max_steps": 1, "weight_decay": decay})
        for decay in (0.1, 0.2)
    ]
    for run in runs:
        run.train()
    training = recorded_training(runs[0].recorded, runs[0].recorded)
    assert (training.replicates, training.weight_decay, training.clip_norm) == (2, 0.1, 1.0)
    assert training.precision == "float32"
    with pytest.raises(ConfigError, match="different settings: weight_decay"):
        recorded_training(*(run.recorded for run in runs))
    with pytest.raises(ConfigError, match="at least one folder"):
        recorded_training()
