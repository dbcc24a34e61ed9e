"""Runs of a Trainer by its settings: a replay from the first state ends where the run did.

The bound is 1e-4 of the way that the parameters went, from the first state on, without recorded states between.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.trainer.runs import LORA, Run, corpus
from tribute.training.recording import read_recording

NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
DROPOUT = {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}
REPLAYED: dict[str, dict[str, Any]] = {
    "two groups, fused": {},
    "foreach": {"arguments": {"optim": "adamw_torch"}},
    "accumulation": {"arguments": {"gradient_accumulation_steps": 2}},
    "accumulation, count of unshifted labels": {
        "name": "gpt2",
        "model": NO_DROPOUT,
        "arguments": {"gradient_accumulation_steps": 2},
    },
    "clipping": {"arguments": {"max_grad_norm": 0.05}},
    "sgd without clipping": {"arguments": {"optim": "sgd", "max_grad_norm": 0, "learning_rate": 0.1}},
    "gradient checkpointing": {"arguments": {"gradient_checkpointing": True}},
    "dropout": {"name": "gpt2", "model": DROPOUT},
    "lora with dropout": {"adapter": LORA | {"lora_dropout": 0.1}},
    "grouped by length": {"arguments": {"train_sampling_strategy": "group_by_length"}},
}


@pytest.mark.parametrize("options", REPLAYED.values(), ids=list(REPLAYED))
def test_a_replay_ends_where_the_run_did(tmp_path: Path, options: dict) -> None:
    run = Run(tmp_path, corpus(), **options)
    assert run.drift(run.train()) < 1e-4


def test_prompts_are_left_out_as_the_training_set_says(tmp_path: Path) -> None:
    run = Run(tmp_path, corpus(prompts=True), arguments={"gradient_accumulation_steps": 2})
    assert run.drift(run.train()) < 1e-4


@pytest.mark.parametrize(("name", "reached"), [("llama", 1e-2), ("gpt2", 5e-2)])
def test_bfloat16_ends_near_the_run(tmp_path: Path, name: str, reached: float) -> None:
    """Last bits round otherwise: 4e-3 was found for Llama, and 3e-2 for GPT-2, which has dropout here."""
    run = Run(tmp_path, corpus(), {"bf16": True, "gradient_accumulation_steps": 2}, name)
    final = run.train()
    assert read_recording(run.recorded).settings["precision"] == "mixed_bfloat16"
    assert run.drift(final) < reached


def test_the_groups_are_those_of_the_trainer(tmp_path: Path) -> None:
    run = Run(tmp_path, corpus(), {"max_steps": 3, "warmup_steps": 1})
    run.train()
    recording = read_recording(run.recorded)
    assert recording.settings["weight_decay"] == 0.1
    [group] = recording.groups
    assert group.settings["weight_decay"] == 0.0
    assert all("norm" in name for name in group.names)
    assert group.rates == tuple(recording.rates)
    assert recording.rates[0] == 0.0
