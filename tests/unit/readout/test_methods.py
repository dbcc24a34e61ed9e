"""The read-out that `auto` chooses, and the cost of read-outs."""

import numpy as np
import pytest
import torch

from tribute.config import ReadoutSettings, SimulationSettings
from tribute.readout import METHODS, PerturbedModel, QueryRows, candidates, costs
from tribute.tasks import Classifier, FlatTask, Scope

REMOVAL, SLOPE, TANGENT = (
    SimulationSettings(),
    SimulationSettings(weight=0.5, epsilon=0.5),
    SimulationSettings(mode="tangent"),
)


@pytest.mark.parametrize(
    ("readout", "simulation", "whole", "expected"),
    [
        (ReadoutSettings(), REMOVAL, True, ("difference",)),
        (ReadoutSettings(), REMOVAL, False, ("shared_trunk", "difference", "shared_head")),
        (ReadoutSettings(), SLOPE, True, ("jvp",)),
        (ReadoutSettings(), TANGENT, False, ("jvp",)),
        (ReadoutSettings(backward=True), TANGENT, True, ("jvp", "adjoint")),
        (ReadoutSettings(backward=True), REMOVAL, True, ("difference",)),
        (ReadoutSettings(method="adjoint"), REMOVAL, True, ("adjoint",)),
        (
            ReadoutSettings(method="shared_trunk"),
            REMOVAL,
            True,
            ("difference",),
        ),  # a further estimate of the whole model
        (ReadoutSettings(method="distilled", precision=0.1), TANGENT, True, ("jvp",)),
    ],
)
def test_a_response_is_read_out_as_what_it_was_simulated_for(readout, simulation, whole, expected) -> None:
    assert candidates(readout, simulation, whole) == expected


def test_memory_is_no_part_of_what_determines_a_number() -> None:
    assert (
        ReadoutSettings(memory_gib=3).fingerprint()
        == ReadoutSettings().fingerprint()
        != ReadoutSettings(method="jvp").fingerprint()
    )


def test_every_read_out_has_a_cost() -> None:
    task = FlatTask(Classifier(features=8, hidden=(8, 8), classes=3))
    rng = np.random.default_rng(0)
    rows = {"features": rng.normal(size=(16, 8)).astype(np.float32), "labels": rng.integers(3, size=16)}
    queries, narrow = QueryRows(tuple(map(str, range(16))), rows, np.arange(16)), Scope(task, "head")
    perturbed = PerturbedModel(narrow, task.initial(0), 0.01 * torch.randn(2, narrow.size))
    found = costs([*METHODS, "distilled"], perturbed, queries, 1)
    assert found.keys() == {*METHODS, "distilled"}
    assert all(cost > 0 for cost in found.values())
