"""Inputs and outputs of linear layers in a forward pass, and pseudo-gradients whose mean square is the curvature.

Legend: B examples, T positions (calls of a layer are concatenated), I inputs of a layer plus 1 for its bias,
O outputs of a layer, V outputs of the model; `...` stands for further dimensions, such as positions.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import grad

from tribute.errors import ConfigError
from tribute.tasks import Batch, FlatTask, forward_mode
from tribute.tasks.module import is_transposed_linear

TOLERANCE = 1e-3
"""Largest relative difference between the Hessian of the loss and that of a cross-entropy."""
MAX_EXACT_OUTPUTS = 16
"""Largest number of outputs per example for which `auto` is exact."""
DEFAULT_DRAWS = 4
"""Draws per example of `auto` otherwise."""


class Layer(NamedTuple):
    """A linear layer, and the names of its weight, [O, I], and of its bias if that is trained.

    ``transposed``: the weight is [I, O] instead, as in GPT-2.
    """

    module: nn.Module
    weight: str
    bias: str | None
    transposed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layer's parameters."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def matrix(self, named_G: Mapping[str, Tensor], outputs: int) -> Tensor:
        """Flat weights and biases by name, [G, ...] each, as one matrix for each row, [G, O, I]."""
        weight_GW = named_G[self.weight]
        if self.transposed:
            parts = [weight_GW.unflatten(1, (-1, outputs)).transpose(1, 2)]
        else:
            parts = [weight_GW.unflatten(1, (outputs, -1))]
        parts += [named_G[self.bias][:, :, None]] if self.bias is not None else []
        return torch.cat(parts, 2)

    def flattened(self, matrix_GOI: Tensor) -> dict[str, Tensor]:
        """Inverse of `matrix`."""
        if self.bias is None:
            weight_GOI, biases = matrix_GOI, {}
        else:
            weight_GOI, biases = matrix_GOI[..., :-1], {self.bias: matrix_GOI[..., -1]}
        return {self.weight: (weight_GOI.transpose(1, 2) if self.transposed else weight_GOI).flatten(1)} | biases


class LayerPass(NamedTuple):
    """A forward pass at theta [P]: outputs [B, ..., V] and their scales [B, ...] (see `cross_entropy_scale`).

    Each layer, by the name of its weight, has inputs [B, T, I] of all its calls, and the outputs of each call.
    """

    theta_P: Tensor
    outputs: Tensor
    scale: Tensor
    inputs: Mapping[str, Tensor]
    layer_outputs: Mapping[str, list[Tensor]]

    def counted_inputs(self, weight: str) -> Tensor:
        """Inputs of a layer, [B, T, I]; 0 at positions outside the loss, such as padding."""
        present_BT = (self.scale > 0).flatten(1) if self.scale.dim() > 1 else self.scale[:, None] > 0
        calls = self.inputs[weight].split([_positions(call).shape[1] for call in self.layer_outputs[weight]], 1)
        return torch.cat(
            [call * present_BT[..., None] if call.shape[:2] == present_BT.shape else call for call in calls], 1
        )

    def output_gradients(self, error: Tensor) -> dict[str, Tensor]:
        """d (outputs . error) / d outputs of each layer, [B, T, O]."""
        calls = [(name, call) for name, calls in self.layer_outputs.items() for call in calls]
        if not calls:
            return {}
        gradients = torch.autograd.grad(
            self.outputs, [call for _, call in calls], error, retain_graph=True, materialize_grads=True
        )
        by_layer: dict[str, list[Tensor]] = {name: [] for name in self.layer_outputs}
        for (name, _), gradient in zip(calls, gradients, strict=True):
            by_layer[name].append(_positions(gradient))
        return {name: torch.cat(parts, 1) for name, parts in by_layer.items()}


def linear_layers(task: FlatTask) -> list[Layer]:
    """All trained linear layers whose weight is not shared with another module.

    A layer that a model holds under several names, and calls under each, is one layer.
    """
    modules = task.measured.modules()
    owners = Counter(id(own) for module in modules for own in module.parameters(recurse=False))
    layers = []
    for name, module in task.measured.named_modules():
        weight, bias = (f"{name}.{part}".lstrip(".") for part in ("weight", "bias"))
        transposed = is_transposed_linear(module)
        if not (isinstance(module, nn.Linear) or transposed) or weight not in task.shapes:
            continue
        if owners[id(module.weight)] == 1:
            trained = bias in task.shapes and owners[id(module.bias)] == 1
            layers.append(Layer(module, weight, bias if trained else None, transposed))
    return layers


def layer_pass(task: FlatTask, theta_P: Tensor, batch: Batch, layers: list[Layer]) -> LayerPass:
    """Run a forward pass; omits layers that are not called on every example of the batch.

    Raises:
        ConfigError: the training loss calls the model more than once, or is not a cross-entropy of its outputs.
    """
    examples = len(next(iter(batch.values())))
    layer_inputs: dict[str, list[Tensor]] = {}
    layer_outputs: dict[str, list[Tensor]] = {}

    def watch(layer: Layer, inputs: Tensor, output: Tensor) -> Tensor:
        if output.requires_grad and inputs.dim() > 1 and len(inputs) == examples:
            padded = nn.functional.pad(inputs.detach(), (0, int(layer.bias is not None)), value=1.0)
            layer_inputs.setdefault(layer.weight, []).append(_positions(padded))
            layer_outputs.setdefault(layer.weight, []).append(output)
        return output.clone()  # the model may change its copy in place

    task.evaluated.find_output(task.pieces(theta_P.detach()), batch)
    leaf_P = theta_P.detach().requires_grad_()
    with _watched(layers, watch), torch.enable_grad():
        outputs = task.evaluated.outputs(leaf_P, batch)
    scale = cross_entropy_scale(task, outputs, batch)
    inputs = {name: torch.cat(calls, 1) for name, calls in layer_inputs.items()}
    return LayerPass(leaf_P, outputs, scale, inputs, layer_outputs)


def wholly_seen(task: FlatTask, seen: LayerPass, layers: list[Layer]) -> set[str]:
    """Weights of the layers whose gradient their inputs and outputs explain: no use of a weight is hidden.

    A weight that a function also takes by itself, as a tied head does (`functional.linear(h, layer.weight)`), has
    uses that no layer sees. Errors of every second example must be explained by its own rows: a layer that is
    given positions first, [T, B, I], with as many positions as examples, does not tell them apart.
    """
    generator = torch.Generator().manual_seed(0)
    error = torch.randn(seen.outputs.shape, generator=generator).to(seen.outputs)
    error[1::2] = 0
    [slope_P] = torch.autograd.grad(seen.outputs, seen.theta_P, error, retain_graph=True)
    whole, parts, whole_slopes = set[str](), seen.output_gradients(error), task.pieces(slope_P)
    for layer in (each for each in layers if each.weight in seen.inputs):
        explained_OI = torch.einsum("bto,bti->oi", parts[layer.weight][::2], seen.inputs[layer.weight][::2])
        slopes = {name: whole_slopes[name].reshape(1, -1) for name in layer.names}
        if torch.allclose(
            layer.matrix(slopes, len(explained_OI))[0],
            explained_OI,
            rtol=TOLERANCE,
            atol=TOLERANCE * float(slope_P.abs().max()),
        ):
            whole.add(layer.weight)
    return whole


def cross_entropy_scale(task: FlatTask, outputs: Tensor, batch: Batch) -> Tensor:
    """c >= 0 of each position, [B, ...]: the loss's Hessian by outputs is c (diag p - p p') with p the softmax.

    The c of a cross-entropy does not depend on the outputs. It is computed from one Hessian-vector product at
    random outputs, where p is not close to 0 or 1.

    Raises:
        ConfigError: the Hessian has another form, so the loss is not a cross-entropy of the outputs.
    """
    generator = torch.Generator().manual_seed(0)
    at, direction = (torch.randn(outputs.shape, generator=generator).to(outputs) for _ in range(2))
    gradient = grad(lambda outputs: task.losses_of_outputs(outputs, batch).sum())
    curved = forward_mode(gradient, (at,), (direction,))[1].detach()
    p = at.softmax(-1)
    expected = p * direction - p * (p * direction).sum(-1, keepdim=True)
    square = expected.square().sum(-1)
    scale = torch.where(square > 0, (curved * expected).sum(-1) / square, 0).clamp(min=0)
    if (curved - scale[..., None] * expected).norm() > TOLERANCE * curved.norm():
        raise ConfigError(
            "The training loss is not a cross-entropy of the model's outputs, so EK-FAC cannot draw labels from "
            "the model. Use the estimator conjugate_gradient"
        )
    return scale


def pseudo_errors(seen: LayerPass, labels: int | str, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield gradients by outputs, [B, ..., V], whose outer products sum to the loss's Hessian by outputs.

    Each is sqrt(c) B z with B = diag(sqrt p) - p sqrt(p)', so that B B' = diag p - p p'. z runs over all unit
    vectors ("exact") or is drawn as random signs, whose mean outer product is the identity.

    Args:
        labels: number of draws, `exact`, or `auto`.
    """
    outputs, scale = seen.outputs.detach(), seen.scale
    size = outputs[0].numel()
    p = outputs.softmax(-1)
    draws = DEFAULT_DRAWS if labels == "auto" else labels
    exact = labels == "exact" or (labels == "auto" and size <= MAX_EXACT_OUTPUTS)
    for index in range(size if exact else int(draws)):
        if exact:
            z = nn.functional.one_hot(torch.tensor(index), size).to(outputs).view(outputs.shape[1:])
        else:
            signs = torch.randint(0, 2, outputs.shape, generator=generator)
            z = (2 * signs - 1).to(outputs) / int(draws) ** 0.5
        drawn = p.sqrt() * z
        yield scale.sqrt()[..., None] * (drawn - p * drawn.sum(-1, keepdim=True))


@contextmanager
def _watched(layers: list[Layer], watch: Any) -> Iterator[None]:
    hooks = [
        layer.module.register_forward_hook(
            lambda _, inputs, named, output, layer=layer: watch(layer, [*inputs, *named.values()][0], output),
            with_kwargs=True,
        )
        for layer in layers
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _positions(values: Tensor) -> Tensor:
    """Reshape [B, D] or [B, ..., D] to [B, T, D]."""
    return values.reshape(len(values), -1, values.shape[-1])
