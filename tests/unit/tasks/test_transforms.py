"""Many parameter vectors at once, and forward mode: the same as a loop and as reverse mode, whatever the layer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn import functional

from tribute.tasks import batched, forward_mode
from tribute.tasks.transforms import one_by_one

ROWS = {"x": torch.randn(5, 6, generator=torch.Generator().manual_seed(0)), "y": torch.tensor([0, 1, 2, 0, 1])}


class Over(nn.Module):
    """A recurrent or attention layer over the six features as positions, and a head."""

    def __init__(self, layer: nn.Module, call: Callable[[nn.Module, Tensor], Tensor], inputs: int = 8) -> None:
        super().__init__()
        self.expand, self.layer, self.head, self.call = nn.Linear(1, inputs), layer, nn.Linear(8, 3), call

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.call(self.layer, self.expand(x[:, :, None])))


class Autocast(nn.Sequential):
    """Mixed precision inside the model."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x)


class Branches(nn.Linear):
    """Another function where the outputs are positive on average."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return out if out.sum() > 0 else 2 * out


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: Over(nn.LSTM(8, 8, batch_first=True), lambda layer, x: layer(x)[0][:, -1]),
    "gru": lambda: Over(nn.GRU(8, 8, batch_first=True), lambda layer, x: layer(x)[0][:, -1]),
    "rnn": lambda: Over(nn.RNN(8, 8, batch_first=True), lambda layer, x: layer(x)[0][:, -1]),
    "attention": lambda: Over(nn.MultiheadAttention(8, 2, batch_first=True), lambda a, x: a(x, x, x)[0].mean(1)),
    "fused": lambda: Over(
        nn.MultiheadAttention(8, 2, batch_first=True), lambda a, x: a(x, x, x, need_weights=False)[0].mean(1)
    ),
    "encoder": lambda: Over(
        nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True), lambda layer, x: layer(x).mean(1)
    ),
    "autocast": lambda: Autocast(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3)),
    "branches": lambda: Branches(6, 3),
    "in place": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)),
    "convolution": lambda: nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 3, 6), nn.Flatten()),
}
WITHOUT_FORWARD_MODE = ("autocast",)
"""Layers whose second derivatives PyTorch does not compute under autocast; `check_task` says so."""


def losses(name: str) -> tuple[Callable[[dict[str, Tensor]], Tensor], dict[str, Tensor]]:
    """The mean loss as a function of named parameters, and two sets of parameters, [2, ...] each."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = LAYERS[name]()
        one, other = ({n: p.detach() for n, p in LAYERS[name]().named_parameters()} for _ in range(2))
    stacked = {n: torch.stack([one[n], other[n]]) for n in one}

    def loss(named: dict[str, Tensor]) -> Tensor:
        return functional.cross_entropy(functional_call(module, named, (ROWS["x"],)), ROWS["y"])

    return loss, stacked


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_many_equal_those_of_autograd_one_by_one(name: str) -> None:
    loss, stacked = losses(name)
    together = batched(grad(loss))(stacked)
    for row in range(2):
        leaves = {n: value[row].clone().requires_grad_() for n, value in stacked.items()}
        expected = torch.autograd.grad(loss(leaves), list(leaves.values()))
        for n, slope in zip(leaves, expected, strict=True):
            torch.testing.assert_close(together[n][row], slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(LAYERS) - set(WITHOUT_FORWARD_MODE)))
def test_forward_mode_of_gradients_equals_differences(name: str) -> None:
    loss, stacked = losses(name)
    at, along = ({n: value[row] for n, value in stacked.items()} for row in range(2))
    _, change = forward_mode(grad(loss), (at,), (along,))
    step = 1e-2
    after, before = (grad(loss)({n: at[n] + sign * step * along[n] for n in at}) for sign in (1, -1))
    expected = torch.cat([(after[n] - before[n]).flatten() / (2 * step) for n in at])
    assert (torch.cat([change[n].flatten() for n in at]) - expected).norm() < 0.05 * expected.norm()


def test_a_loop_gives_what_vmap_gives_for_nested_results() -> None:
    def function(row: dict[str, Tensor], scale: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return row["x"] * scale, {"y": row["y"] + 1}

    arguments = (ROWS, torch.tensor(3.0))
    one, other = (
        f(*arguments) for f in (batched(function, (0, None)), lambda *a: one_by_one(function, (0, None), *a))
    )
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1]["y"], other[1]["y"])


def test_dropout_is_the_same_in_every_row() -> None:
    def dropped(row: Tensor) -> Tensor:
        return functional.dropout(row, 0.5) if row.sum() > -1 else row  # the branch leaves vmap

    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = batched(lambda row: functional.dropout(row, 0.5))(torch.ones(3, 50))
    assert torch.equal(found[0], found[1])
    assert 0 < float(found[0].mean()) < 2
    assert batched(dropped)(torch.ones(2, 5)).shape == (2, 5)


def test_an_error_of_the_function_itself_is_raised_in_its_own_words() -> None:
    with pytest.raises(RuntimeError, match="my own"):
        batched(lambda _row: (_ for _ in ()).throw(RuntimeError("my own")))(torch.ones(2))
