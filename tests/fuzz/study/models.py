"""Models as people write them, each a function of the number of features and of outputs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Build = Callable[[int, int], nn.Module]
WIDTH = 6


class Through(nn.Module):
    """A head over what a function makes of the features with some layers."""

    def __init__(self, call: Callable[["Through", Tensor], Tensor], width: int, outputs: int, **layers: nn.Module):
        super().__init__()
        self.call, self.head = call, nn.Linear(width, outputs)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.call(self, x))


def between(*layers: Callable[[], nn.Module]) -> Build:
    """Two linear layers with others between them."""
    return lambda inputs, outputs: nn.Sequential(
        nn.Linear(inputs, WIDTH), *(layer() for layer in layers), nn.Linear(WIDTH, outputs)
    )


def over_positions(make: Callable[[], nn.Module], call: Callable[[nn.Module, Tensor], Tensor]) -> Build:
    """A layer over the features as positions of width 4."""
    return lambda _, outputs: Through(
        lambda self, x: call(self.layer, self.expand(x[:, :, None])),
        4,
        outputs,
        layer=make(),
        expand=nn.Linear(1, 4),
    )


def looked_up(**options: object) -> Build:
    """Features as ids of an embedding."""
    return lambda inputs, outputs: Through(
        lambda self, x: self.table((x * 2).long().clamp(-8, 8) + 8).flatten(1),
        4 * inputs,
        outputs,
        table=nn.Embedding(17, 4, **options),
    )


class Tied(nn.Module):
    """One weight under two names, and a third time by a function."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.encode, self.decode = (nn.Linear(inputs, inputs, bias=False) for _ in range(2))
        self.head, self.decode.weight = nn.Linear(inputs, outputs), self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.linear(self.decode(torch.tanh(self.encode(x))), self.encode.weight.t()))


class Several(nn.Module):
    """Returns more than its logits."""

    def __init__(self, inputs: int, outputs: int, kind: type) -> None:
        super().__init__()
        self.first, self.last, self.kind = nn.Linear(inputs, WIDTH), nn.Linear(WIDTH, outputs), kind

    def forward(self, x: Tensor) -> object:
        hidden = torch.tanh(self.first(x))
        return (
            (self.last(hidden), hidden) if self.kind is tuple else {"hidden": hidden, "logits": self.last(hidden)}
        )


class Drawn(nn.Module):
    """Random features, drawn when the model is built, under a trained head."""

    def __init__(self, inputs: int, outputs: int, kind: str) -> None:
        super().__init__()
        omega = torch.randn(inputs, 8)
        if kind == "parameter":
            self.omega = nn.Parameter(omega, requires_grad=False)
        else:
            self.register_buffer("omega", omega, persistent=kind == "buffer")
        self.head = nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cos(x @ self.omega))


class Promoted(nn.Module):
    """Layers of two dtypes, or all in double precision."""

    def __init__(self, inputs: int, outputs: int, first: torch.dtype) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, WIDTH, dtype=first)
        self.last = nn.Linear(WIDTH, outputs, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x.to(self.first.weight.dtype))).double())


def at_rest() -> nn.Module:
    """Batch normalisation in evaluation mode, with statistics of its own."""
    layer = nn.BatchNorm1d(WIDTH)
    layer.running_mean += 0.3
    layer.running_var *= 2
    return layer.eval()


def frozen_trunk(inputs: int, outputs: int) -> nn.Module:
    """A trunk that is not trained, with statistics as buffers."""
    trunk = nn.Sequential(nn.Linear(inputs, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()).eval()
    return nn.Sequential(trunk.requires_grad_(False), nn.Linear(WIDTH, outputs))


def strided(inputs: int, outputs: int) -> nn.Module:
    """Parameters that are not contiguous in memory."""
    model = between(nn.Tanh)(inputs, outputs)
    for layer in (model[0], model[2]):
        layer.weight = nn.Parameter(layer.weight.detach().t().contiguous().t())
    return model


def residual(inputs: int, outputs: int) -> nn.Module:
    """A layer with a way around it."""
    return Through(lambda self, x: x + torch.tanh(self.layer(x)), inputs, outputs, layer=nn.Linear(inputs, inputs))


MODELS: dict[str, Build] = {
    "linear": nn.Linear,
    "mlp": between(nn.Tanh),
    "relu": between(nn.ReLU),
    "deep": between(nn.GELU, lambda: nn.Linear(WIDTH, WIDTH), nn.SiLU),
    "prelu": between(nn.PReLU),
    "layer norm": between(lambda: nn.LayerNorm(WIDTH), nn.Tanh),
    "group norm": between(lambda: nn.GroupNorm(2, WIDTH), nn.Tanh),
    "batch norm at rest": between(at_rest, nn.Tanh),
    "dropout": between(nn.Tanh, lambda: nn.Dropout(0.4)),
    "residual": residual,
    "tied": Tied,
    "conv": lambda _, outputs: Through(
        lambda self, x: torch.tanh(self.conv(x[:, None])).mean(-1), 4, outputs, conv=nn.Conv1d(1, 4, 3, padding=1)
    ),
    "embedding": looked_up(),
    "sparse embedding": looked_up(sparse=True),
    "lstm": over_positions(lambda: nn.LSTM(4, 4, batch_first=True), lambda layer, x: layer(x)[0][:, -1]),
    "gru": over_positions(lambda: nn.GRU(4, 4, batch_first=True), lambda layer, x: layer(x)[0][:, -1]),
    "attention": over_positions(
        lambda: nn.MultiheadAttention(4, 2, batch_first=True), lambda layer, x: layer(x, x, x)[0].mean(1)
    ),
    "fused attention": over_positions(
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        lambda layer, x: layer(x, x, x, need_weights=False)[0].mean(1),
    ),
    "encoder": over_positions(
        lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu", batch_first=True),
        lambda layer, x: layer(x).mean(1),
    ),
    "several dtypes": lambda inputs, outputs: Promoted(inputs, outputs, torch.float32),
    "double": lambda inputs, outputs: Promoted(inputs, outputs, torch.float64),
    "strided": strided,
    "tuple": lambda inputs, outputs: Several(inputs, outputs, tuple),
    "dict": lambda inputs, outputs: Several(inputs, outputs, dict),
    "compiled": lambda inputs, outputs: torch.compile(between(nn.Tanh)(inputs, outputs), backend="eager"),
    "frozen trunk": frozen_trunk,
    "random buffer": lambda inputs, outputs: Drawn(inputs, outputs, "buffer"),
    "temporary buffer": lambda inputs, outputs: Drawn(inputs, outputs, "temporary"),
    "random frozen parameter": lambda inputs, outputs: Drawn(inputs, outputs, "parameter"),
}
FROZEN = ("frozen trunk", "random buffer", "temporary buffer", "random frozen parameter")
"""Models with a part that is drawn, and not trained."""
ROUGH = ("relu", "prelu", "embedding", "sparse embedding", "frozen trunk", "compiled", "dropout", "tuple", "dict")
"""Models without derivatives by a difference in double precision: kinks, random masks, or no plain forward."""


def logits_of(found: object) -> Tensor:
    """The logits among what a model gives out."""
    plain = found[0] if isinstance(found, tuple) else found["logits"] if isinstance(found, dict) else found
    assert isinstance(plain, Tensor)
    return plain
