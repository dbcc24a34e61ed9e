"""`mixed_bfloat16` rounds as a Trainer with bf16=True does: by `torch.autocast`, inside the forward pass alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.training.trainer.runs import LORA, Run, corpus, distance
from tribute.tasks import FlatTask, Parameters, frozen_state
from tribute.training import MicroBatch, TrainerRows, gradient

CPU = torch.device("cpu")
ROWS = np.arange(4)
OPTIONS: dict[str, dict[str, Any]] = {
    "llama": {},
    "tied": {"model": {"tie_word_embeddings": True}},
    "gpt2": {"name": "gpt2", "model": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}},
    "lora": {"adapter": LORA},
}


def mixed(run: Run, model: Any) -> FlatTask:
    return FlatTask(run.task, "mixed_bfloat16").with_frozen(frozen_state(model))


def norm(theta: Parameters) -> float:
    return distance(theta, {name: torch.zeros_like(value) for name, value in theta.items()})


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_gradients_are_those_of_autocast(tmp_path: Path, options: dict) -> None:
    """The same kernels round, that of masked attention among them: padding is masked only here."""
    run = Run(tmp_path, corpus(), **options)
    model: Any = run.trainer().model
    task, theta = mixed(run, model), {n: v.detach() for n, v in model.named_parameters() if v.requires_grad}
    rows = TrainerRows(run.data)
    inputs = rows.collate([rows[int(row)] for row in ROWS])
    assert not inputs["attention_mask"].all()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.train()(**inputs).loss
    loss.backward()
    theirs = {name: value.grad for name, value in model.named_parameters() if value.requires_grad}
    tokens_B = (inputs["labels"][:, 1:] != -100).sum(1)
    batch, _ = run.data.batch(ROWS, CPU, inputs["input_ids"].shape[1])
    step = MicroBatch(batch, 4 * tokens_B / tokens_B.sum())
    assert distance(gradient(task, theta, [step]), theirs) < 1e-5 * norm(theirs)
    plain = FlatTask(run.task).with_frozen(frozen_state(model))
    assert distance(gradient(plain, theta, [step]), theirs) > 2e-3 * norm(theirs)
    torch.testing.assert_close(task.measure_at(theta, batch), plain.measure_at(theta, batch), rtol=0, atol=0)


def test_several_trajectories_are_those_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, corpus(), adapter=LORA)
    model: Any = run.trainer().model
    task = mixed(run, model)
    theta = {
        n: torch.stack([v.detach() + 0.1 * step for step in range(3)])
        for n, v in model.named_parameters()
        if v.requires_grad
    }
    batch, _ = run.data.batch(ROWS, CPU)
    weights_KB = torch.rand(3, 4)
    together = gradient(task, theta, [MicroBatch(batch, weights_KB)])
    for row in range(3):
        one = {name: value[row] for name, value in theta.items()}
        alone = gradient(task, one, [MicroBatch(batch, weights_KB[row])])
        found = {name: value[row] for name, value in together.items()}
        assert distance(found, alone) <= 1e-6 * norm(alone)
