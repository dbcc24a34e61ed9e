"""`for_value` has the gradient by the last use of the last layer's weight, and says what it leaves out.

Legend: N examples, Q queries.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.unit.estimators.shared_layers import CASES, WIDTH, few, likelihoods, plain, trained_on
from tests.unit.estimators.small import influences, sources, text_training
from tests.unit.tasks.contract.wild import CLASSES, FEATURES
from tribute.estimators import Trained, build_estimator

pytestmark = pytest.mark.usefixtures("float64")


class Factored(nn.Module):
    """Outputs by a function of a weight that a linear layer has made the states for."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(FEATURES, WIDTH), nn.Parameter(torch.randn(CLASSES, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.first(x), self.head)


def last_use(trained: Trained, layer: str) -> Tensor:
    """Dots of gradients by the last layer's weight, in its last use alone, [Q, N]."""
    module, inputs = plain(trained), list[Tensor]()
    last = module.get_submodule(layer)
    last.register_forward_hook(lambda _, given, __: inputs.append(given[0].detach()))

    def slopes(columns: dict) -> Tensor:
        likelihoods(module, columns)
        weight, found = last.weight.detach().clone().requires_grad_(), []
        for state, label in zip(inputs[-1], torch.from_numpy(columns["labels"]), strict=True):
            likelihood = functional.linear(state, weight, last.bias).log_softmax(-1)[label]
            found.append(torch.autograd.grad(likelihood, weight)[0].flatten())
        return torch.stack(found)

    return slopes(dict(few().columns)) @ slopes(dict(trained.data.columns)).T


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("called twice", "gradients of last.weight alone, 15.5% of the parameters"),
        (
            "the last layer twice",
            "gradients of last.weight alone, 27.3% of the parameters; uses of this weight before",
        ),
        ("fused attention", "gradients of head.weight alone"),
        ("called by name", "gradients of last.weight alone"),
    ],
)
def test_for_value_has_the_last_use_and_says_so(name: str, said: str, tmp_path: Path) -> None:
    trained, for_value = trained_on(CASES[name][0], tmp_path), build_estimator("for_value", {})
    found = influences(for_value, trained, sources(trained), few())
    expected = last_use(trained, said.split()[2].removesuffix(".weight"))
    torch.testing.assert_close(found[:, 0], expected[:, :2].sum(1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[:, 1], expected[:, 2:].sum(1), rtol=1e-9, atol=1e-12)
    assert said in for_value.coverage(trained, {})
    assert ("uses of this weight" in for_value.coverage(trained, {})) == ("uses" in said)


def test_for_value_says_which_use_of_a_tied_weight_counts(tmp_path: Path) -> None:
    said = build_estimator("for_value", {}).coverage(text_training(tmp_path), {})
    assert "gradients of embedding.weight alone" in said and "uses of this weight before the last layer" in said


def test_for_value_says_that_its_products_are_no_gradient(tmp_path: Path) -> None:
    said = build_estimator("for_value", {}).coverage(trained_on(Factored, tmp_path), {})
    assert "are the gradient of no trained weight" in said
