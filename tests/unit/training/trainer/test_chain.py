"""The whole chain: a Trainer's recorded run is taken over by a study, simulated and read out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tribute
from tests.unit.training.trainer.runs import LORA, Run, by_source, corpus, rows, trained
from tribute.training import recorded_training
from tribute.training.trainer.look_up import RowIndex

QUERIES = rows(7, 5, ragged=True, prompts=False)


def without(run: Run, source: int) -> dict[str, torch.Tensor]:
    """The final parameters of a Trainer whose losses leave a source out, divided by the same number of tokens."""
    trainer: Any = run.trainer()
    index, step = RowIndex(run.data), trainer.training_step

    def silent(model: Any, inputs: dict[str, torch.Tensor], items: Any) -> torch.Tensor:
        left_out = torch.tensor([run.data.source_N[row.example] == source for row in index.found(inputs)])
        return step(model, inputs | {"labels": inputs["labels"].masked_fill(left_out[:, None], -100)}, items)

    trainer.training_step = silent
    trainer.train()
    return trained(trainer)


@pytest.mark.parametrize(
    "adapter", [LORA, pytest.param(None, marks=pytest.mark.slow)], ids=["adapter", "whole model"]
)
def test_influences_are_those_of_trainers_without_each_source(tmp_path: Path, adapter: dict | None) -> None:
    run = Run(tmp_path, corpus(), {"gradient_accumulation_steps": 2}, adapter=adapter)
    final = run.train(every=4)
    whole = tribute.SimulationSettings(mode="paired", horizon=1.0)
    study = tribute.Study(run.task, by_source(), training=recorded_training(run.recorded), simulation=whole)
    report = study.train()
    assert report.drift is not None
    assert 0 < report.drift < 1e-4
    assert f"replays end within {report.drift:.1g} of the way of their recordings" in str(report)
    found = study.attribute(QUERIES)
    task, queries = run.recipe.task, {name: torch.from_numpy(each) for name, each in QUERIES.items()}
    whole_Q = task.measure_at(final, queries)
    for source in range(3):
        expected_Q = whole_Q - task.measure_at(without(run, source), queries)
        scale = float(expected_Q.abs().max())
        np.testing.assert_allclose(found.influence_RQS[0, :, source], expected_Q.detach(), atol=5e-3 * scale)
