"""The Gauss-Newton matrix in a Kronecker-factored eigenbasis for each linear layer, and functions of it (EK-FAC).

Legend: B examples of a batch, G groups, P parameters; of a layer T positions, I inputs (with 1 for the bias) and O
outputs; V outputs of the model.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad

from tribute.errors import ConfigError
from tribute.estimators.estimator import NamedTensors, Trained
from tribute.estimators.gradients import drawn_examples, gradients_at_once, single
from tribute.estimators.layers import Layer, LayerPass, layer_pass, linear_layers, pseudo_errors, wholly_seen
from tribute.tasks import Batch, FlatTask, batched


class Point(NamedTuple):
    """Parameters at which the curvature is taken, [P], and their share in a mean over several points."""

    theta_P: Tensor
    share: float = 1.0


@dataclass(frozen=True)
class Sampling:
    """What the curvature averages over: labels per example (see `pseudo_errors`), examples, and rows of a pass."""

    labels: int | str
    examples: int
    rows: int

    def check(self, method: str, damping: float | None = None) -> None:
        """Check the options of a method that has them, `damping` if it has one; raises ConfigError."""
        known = self.labels in ("auto", "exact") or (isinstance(self.labels, int) and self.labels >= 1)
        if not known or self.examples < 1 or self.rows < 1 or (damping is not None and damping <= 0):
            got, wanted = ("", "") if damping is None else (f"damping is {damping:g}, ", "damping above 0, ")
            raise ConfigError(
                f"{method}: {got}labels is {self.labels!r}, examples {self.examples} and rows {self.rows}. Set "
                f"{wanted}labels to auto, exact or a number from 1, the others to at least 1"
            )


def fit_curvature(
    trained: Trained, points: Sequence[Point], sampling: Sampling, root_P: Tensor | None = None
) -> dict[str, Tensor]:
    """Q_A [I, I], Q_S [O, O] and Lambda [O, I] of each layer, by its weight; diagonals of other parameters.

    Args:
        root_P: positive scales of the coordinates theta / root, in which the matrix is root G root. In a layer
            they are replaced by the nearest products of a factor for each output and one for each input. Those
            that were taken are returned as `root`, [P].

    Raises:
        ConfigError: the training loss is not a cross-entropy of the model's outputs.
    """
    factors, layers = dict[str, Tensor](), linear_layers(trained.task)
    everywhere = {layer.weight for layer in layers}
    for point in points:
        for _, seen, errors in _passes(trained, point, sampling):
            everywhere &= wholly_seen(trained.task, seen, layers)
            for weight in seen.inputs:
                _add(factors, f"inputs:{weight}", point.share * _outer(seen.counted_inputs(weight)))
            for error in errors:
                for weight, gradient_BTO in seen.output_gradients(error).items():
                    _add(factors, f"outputs:{weight}", point.share * _outer(gradient_BTO))
    kept = {name: factor for name, factor in factors.items() if name.partition(":")[2] in everywhere}
    if root_P is None:
        bases = {name: _eigenvectors(factor) for name, factor in kept.items()}
        return bases | _eigenvalues(trained, points, sampling, bases)
    root_P, scales = _separable(trained.task, kept, root_P)
    bases = {name: _eigenvectors(factor * scales[name] * scales[name].T) for name, factor in kept.items()}
    scaled = {name: scales[name] * basis for name, basis in bases.items()}
    return bases | {"root": root_P} | _eigenvalues(trained, points, sampling, scaled, root_P)


def function_of(
    task: FlatTask, fitted: NamedTensors, vector_GP: Tensor, change: Callable[[Tensor], Tensor]
) -> Tensor:
    """change(matrix) v for each row v, [G, P]; `change` maps eigenvalues to those of the result."""
    sizes = [math.prod(shape) for shape in task.shapes.values()]
    pieces = dict(zip(task.shapes, vector_GP.split(sizes, dim=1), strict=True))
    layers, others = split_parameters(task, fitted)
    for layer in layers:
        inputs_II, outputs_OO, values_OI = (
            fitted[f"{part}:{layer.weight}"] for part in ("inputs", "outputs", "eigenvalues")
        )
        rotated_GOI = outputs_OO.T @ layer.matrix(pieces, len(outputs_OO)) @ inputs_II
        changed_GOI = outputs_OO @ (rotated_GOI * change(values_OI)) @ inputs_II.T
        pieces |= layer.flattened(changed_GOI)
    for name in others:
        pieces[name] = pieces[name] * change(fitted[f"eigenvalues:{name}"].flatten())
    return torch.cat(list(pieces.values()), 1)


def mean_eigenvalue(method: str, fitted: NamedTensors) -> Tensor:
    """Mean eigenvalue over all parameters.

    Raises:
        ConfigError: it is 0, because the loss does not depend on the parameters; names the method.
    """
    values = torch.cat([value.flatten() for name, value in fitted.items() if name.startswith("eigenvalues:")])
    if not values.any():
        raise ConfigError(
            f"{method}: the training loss does not depend on the parameters. Check that the model is not frozen"
        )
    return values.mean()


def split_parameters(task: FlatTask, fitted: NamedTensors) -> tuple[list[Layer], list[str]]:
    """Layers with factors, and the names of all other parameters."""
    layers = [layer for layer in linear_layers(task) if f"inputs:{layer.weight}" in fitted]
    inside = {name for layer in layers for name in layer.names}
    return layers, [name for name in task.shapes if name not in inside]


def coverage_of(method: str, task: FlatTask, fitted: NamedTensors) -> str:
    """The part of the parameters with factors, and the names of the others, which have a diagonal."""
    others = split_parameters(task, fitted)[1]
    if not others:
        return ""
    left = sum(math.prod(task.shapes[name]) for name in others)
    names = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    return (
        f"{method} factors the curvature of {1 - left / task.size:.1%} of the parameters layer by layer; it has a "
        f"diagonal for {names}"
    )


def _separable(task: FlatTask, kept: NamedTensors, root_P: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Scales as products in the layers with factors, [P], and their factors as columns, [I, 1] and [O, 1].

    Products of geometric means are the nearest ones in logarithms.
    """
    root, scales = dict(task.pieces(root_P)), dict[str, Tensor]()
    for layer in split_parameters(task, kept)[0]:
        flat = {name: root[name].reshape(1, -1) for name in layer.names}
        log_OI = layer.matrix(flat, len(kept[f"outputs:{layer.weight}"]))[0].log()
        half = log_OI.mean() / 2
        by_output_O, by_input_I = (log_OI.mean(1) - half).exp(), (log_OI.mean(0) - half).exp()
        scales |= {f"outputs:{layer.weight}": by_output_O[:, None], f"inputs:{layer.weight}": by_input_I[:, None]}
        product = layer.flattened(torch.outer(by_output_O, by_input_I)[None])
        root |= {name: value.view(task.shapes[name]) for name, value in product.items()}
    return task.flatten(root), scales


def _eigenvalues(
    trained: Trained,
    points: Sequence[Point],
    sampling: Sampling,
    bases: NamedTensors,
    root_P: Tensor | None = None,
) -> dict[str, Tensor]:
    """Mean squares of pseudo-gradients; those of layers are in their bases, others in coordinates theta / root."""
    layers, others = split_parameters(trained.task, bases)
    root = {} if root_P is None else trained.task.pieces(root_P)
    found: dict[str, Tensor] = {}
    for point in points:
        pieces = trained.task.pieces(point.theta_P)
        weight = point.share / len(drawn_examples(trained, sampling.examples))
        for batch, seen, errors in _passes(trained, point, sampling):
            names = [layer.weight for layer in layers]
            rotated = {name: seen.inputs[name] @ bases[f"inputs:{name}"] for name in names}
            for error in errors:
                gradients = seen.output_gradients(error)
                for name in names:
                    turned_BTO = gradients[name] @ bases[f"outputs:{name}"]
                    _add(found, f"eigenvalues:{name}", _squares(turned_BTO, rotated[name]) * weight)
                for name, gradient in _gradients(trained.task, pieces, others, batch, error).items():
                    scaled = gradient * root[name] if root else gradient
                    _add(found, f"eigenvalues:{name}", scaled.square().sum(0) * weight)
    return found


def _passes(
    trained: Trained, point: Point, sampling: Sampling
) -> Iterator[tuple[Batch, LayerPass, Iterator[Tensor]]]:
    """Yield batches of the drawn examples, their forward pass and its pseudo-gradients; same in every call."""
    layers = linear_layers(trained.task)
    generator, chosen = torch.Generator().manual_seed(0), drawn_examples(trained, sampling.examples)
    rows = min(sampling.rows, gradients_at_once(point.theta_P))
    for begin in range(0, len(chosen), rows):
        batch, _ = trained.data.batch(chosen[begin : begin + rows], trained.device)
        seen = layer_pass(trained.task, point.theta_P, batch, layers)
        yield batch, seen, pseudo_errors(seen, sampling.labels, generator)


def _gradients(
    task: FlatTask, pieces: Mapping[str, Tensor], names: Sequence[str], batch: Batch, error: Tensor
) -> Mapping[str, Tensor]:
    """Gradient of outputs . error by the named parameters for each example, [B, ...] each."""

    def along(named: dict[str, Tensor], row: Batch, error_V: Tensor) -> Tensor:
        return (task.evaluated.outputs_at({**pieces, **named}, single(row))[0] * error_V).sum()

    if not names:
        return {}
    return batched(grad(along), (None, 0, 0))({name: pieces[name] for name in names}, batch, error)


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value


def _outer(values_BTD: Tensor) -> Tensor:
    """Sum of outer products, [D, D]; only its eigenvectors are used."""
    flat_ND = values_BTD.flatten(0, 1)
    return flat_ND.T @ flat_ND


def _squares(gradient_BTO: Tensor, input_BTI: Tensor) -> Tensor:
    """Sum over examples of (sum over positions gradient input')^2, [O, I]; with one position, squares factor."""
    if gradient_BTO.shape[1] == 1:
        return gradient_BTO[:, 0].square().T @ input_BTI[:, 0].square()
    return torch.einsum("bto,bti->boi", gradient_BTO, input_BTI).square().sum(0)


def _eigenvectors(factor_DD: Tensor) -> Tensor:
    """Eigenvectors in columns, computed in double precision."""
    return torch.linalg.eigh(factor_DD.double()).eigenvectors.to(factor_DD)
