"""Layers that are called twice, weights that two layers share, and fused layers: against plain gradients.

Legend: N examples, Q queries, V outputs, P parameters.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import hessian, jacrev
from torch.nn import functional

from tests.unit.estimators.shared_layers import CASES, EXAMPLES, few, likelihoods, plain, trained_on
from tests.unit.estimators.small import influences, sources
from tribute.estimators import Trained, build_estimator
from tribute.estimators.gradients import example_gradients
from tribute.estimators.layers import layer_pass, linear_layers
from tribute.tasks import ByteLm, FlatTask

pytestmark = pytest.mark.usefixtures("float64")


def gradient(module: nn.Module, likelihood: Tensor) -> Tensor:
    """By all parameters, [P], each once and summed over its uses."""
    return torch.cat(
        [each.flatten() for each in torch.autograd.grad(likelihood, [*module.parameters()], retain_graph=True)]
    )


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_plain_torch(name: str, tmp_path: Path) -> None:
    trained = trained_on(CASES[name][0], tmp_path)
    module, queries = plain(trained), few()
    known = [gradient(module, each) for each in likelihoods(module, dict(trained.data.columns))]
    asked = [gradient(module, each) for each in likelihoods(module, dict(queries.columns))]
    [(_, found_NP)] = example_gradients(trained, trained.theta_P, np.arange(EXAMPLES))
    torch.testing.assert_close(found_NP, -torch.stack(known), rtol=1e-9, atol=1e-12)
    dots = torch.stack(asked) @ torch.stack([sum(known[:2]), sum(known[2:])]).T  # type: ignore[arg-type]
    found_QG = influences(build_estimator("gradient_dot", {}), trained, sources(trained), queries)
    torch.testing.assert_close(found_QG, dots, rtol=1e-9, atol=1e-12)


def gauss_newton_root(trained: Trained) -> Tensor:
    """R [N V, P], with R' R the mean over examples of J' H J, one example after another."""
    task, found = trained.task, []
    for n in range(EXAMPLES):
        batch, _ = trained.data.batch(np.array([n]), trained.device)
        outputs = task.outputs(trained.theta_P, batch)[0].detach()
        curved = hessian(lambda z, b=batch: functional.cross_entropy(z[None], b["labels"]))(outputs)
        values, vectors = torch.linalg.eigh(curved)
        jacobian = jacrev(lambda at, b=batch: task.outputs(at, b)[0])(trained.theta_P)
        found.append((values.clamp(min=0).sqrt()[:, None] * vectors.T) @ jacobian)
    return torch.cat(found) / EXAMPLES**0.5


@pytest.mark.parametrize("name", CASES)
def test_ekfac_sees_every_use_of_a_weight_or_says_so(name: str, tmp_path: Path) -> None:
    build, factored = CASES[name]
    trained, ekfac = trained_on(build, tmp_path), build_estimator("ekfac", {"labels": "exact"})
    fitted = ekfac.fit(trained)
    assert {each.removeprefix("inputs:") for each in fitted if each.startswith("inputs:")} == factored
    pieces = [trained.task.pieces(row) for row in gauss_newton_root(trained)]
    own = {each.removeprefix("eigenvalues:") for each in fitted if each.startswith("eigenvalues:")}
    for weight in own:
        rows = torch.stack([each[weight] for each in pieces])
        if weight in factored:
            rows = rows.transpose(1, 2) if "transposed" in name and weight == "layer.weight" else rows
            biases = torch.stack([each[weight.replace("weight", "bias")] for each in pieces])
            rows = (
                fitted[f"outputs:{weight}"].T
                @ torch.cat([rows, biases[..., None]], 2)
                @ fitted[f"inputs:{weight}"]
            )
        torch.testing.assert_close(fitted[f"eigenvalues:{weight}"], rows.square().sum(0), rtol=1e-8, atol=1e-12)
    inside = factored | {each.replace("weight", "bias") for each in factored}
    assert own == factored | (set(trained.task.shapes) - inside)
    said = ekfac.coverage(trained, fitted)
    assert all(each in said for each in own - factored) and bool(said) == bool(own - factored)


class Looped(ByteLm):
    """A transformer that calls one block twice."""

    def build(self) -> nn.Module:
        model = super().build()
        model.blocks = nn.ModuleList([model.blocks[0]] * 2)
        return model


def test_padding_does_not_count_in_any_call() -> None:
    task = FlatTask(Looped(context=4, width=4, heads=2, layers=1))
    batch = {"tokens": torch.tensor([[7, 8, 9, 1, 2], [3, 4, 5, -1, -1]])}
    seen = layer_pass(task, task.initial(0), batch, linear_layers(task))
    assert len(seen.inputs) == 4
    for weight, input_BTI in seen.inputs.items():
        counted_BTI = seen.counted_inputs(weight)
        assert counted_BTI.shape[:2] == (2, 8) and (counted_BTI[0] == input_BTI[0]).all()
        [positions] = counted_BTI[1].any(1).nonzero(as_tuple=True)
        assert positions.tolist() == [0, 1, 4, 5]
