"""Influence functions with EK-FAC curvature: a Kronecker-factored eigenbasis for each linear layer.

Legend: N training examples, B of a batch, G groups, Q queries, P parameters; of a layer T positions, I inputs
(with 1 for the bias) and O outputs; V outputs of the model.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad

from tribute.errors import ConfigError
from tribute.estimators.estimator import Groups, NamedTensors, Trained
from tribute.estimators.gradients import (
    ResponseEstimator,
    drawn_examples,
    gradients_at_once,
    group_gradients,
    single,
)
from tribute.estimators.layers import (
    Layer,
    LayerPass,
    layer_pass,
    linear_layers,
    pseudo_errors,
    wholly_seen,
)
from tribute.tasks import Batch, FlatTask, batched


@dataclass(frozen=True)
class EkFac(ResponseEstimator):
    """Influence function with a curvature that is factored layer by layer (EK-FAC).

    I[q, g] = -(1/N) grad f(q) . (G + lambda)^-1 sum over the group of grad loss(z): the nats that f(q) loses
    without the group.

    G is block diagonal. The block of a linear layer is Q Lambda Q' with Q = Q_S (x) Q_A, the eigenvectors of S =
    E[Ds Ds'] and A = E[a a'] (a has an entry 1 if there is a bias), and Lambda = E[(Q' vec(sum over positions Ds
    a'))^2]. Other parameters (embeddings, norms, positions, shared weights, convolutions, fused attention, layers
    that some examples skip, weights that a function also uses by itself) have the diagonal E[gradient^2].
    Expectations are over training examples and labels drawn from the model. Dropout is off.

    The papers draw these labels. Here their outer products are computed exactly, or by random signs along the
    columns of a square root of the loss's Hessian. The expectation is the same, the Gauss-Newton matrix, but the
    rare labels of a confident model add no noise. If the loss weights positions, as a mean does, so does G.

    A fit costs two forward passes over `examples`, and two backward passes for each label. A gather costs the
    gradient of each group; a query costs its gradient.

    Source: George et al., arXiv 1806.03884; Grosse et al., arXiv 2308.03296.
    """

    damping: float = 1.0
    """lambda as a multiple of the mean eigenvalue of G. One lambda serves all layers: a tenth of each layer's
    mean, as in arXiv 2308.03296, gave a lower LDS (.47 instead of .57 on a network fitted to 1,000 images; equal
    on 5,000)."""
    labels: int | str = "auto"
    """Draws per example; `exact`: all labels, one for each output of the model (positions times classes); `auto`:
    exact up to 16 outputs, else 4 draws. On a small transformer, influences from 4 and 32 draws correlate at
    1.000."""
    examples: int = 10_000
    """Number of randomly drawn training examples that G averages over."""
    rows: int = 256
    """Largest number of examples in a pass."""

    def __post_init__(self) -> None:
        known = self.labels in ("auto", "exact") or (isinstance(self.labels, int) and self.labels >= 1)
        if self.damping <= 0 or not known or self.examples < 1 or self.rows < 1:
            raise ConfigError(
                f"ekfac: damping is {self.damping:g}, labels {self.labels!r}, examples {self.examples} and rows "
                f"{self.rows}. Set damping above 0, labels to auto, exact or a number from 1, the others to at "
                "least 1"
            )

    def fit(self, trained: Trained) -> NamedTensors:
        """Q_A [I, I], Q_S [O, O] and Lambda [O, I] of each layer, by its weight; diagonals of other parameters."""
        factors: dict[str, Tensor] = {}
        layers = linear_layers(trained.task)
        everywhere = {layer.weight for layer in layers}
        for _, seen, errors in self._passes(trained):
            everywhere &= wholly_seen(trained.task, seen, layers)
            for weight in seen.inputs:
                _add(factors, f"inputs:{weight}", _outer(seen.counted_inputs(weight)))
            for error in errors:
                for weight, gradient_BTO in seen.output_gradients(error).items():
                    _add(factors, f"outputs:{weight}", _outer(gradient_BTO))
        kept = {name: factor for name, factor in factors.items() if name.partition(":")[2] in everywhere}
        bases = {name: _eigenvectors(factor) for name, factor in kept.items()}
        return bases | self._eigenvalues(trained, bases)

    def numbers_per_group(self, trained: Trained) -> int:
        """Three vectors of parameters: the gradient, in the eigenbasis, and solved."""
        return 3 * trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """The response of each group, [G, P]."""
        gradient_GP = group_gradients(trained, trained.theta_P, groups)
        return {"response_GP": self._solve(trained, fitted, gradient_GP) / -len(trained.data)}

    def coverage(self, trained: Trained, fitted: NamedTensors) -> str:
        """The part of the parameters with factors, and the names of the others, which have a diagonal."""
        task = trained.task
        others = _split(task, fitted)[1]
        if not others:
            return ""
        left = sum(math.prod(task.shapes[name]) for name in others)
        names = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        return (
            f"ekfac factors the curvature of {1 - left / task.size:.1%} of the parameters layer by "
            "layer; it has a "
            f"diagonal for {names}"
        )

    def _eigenvalues(self, trained: Trained, bases: NamedTensors) -> dict[str, Tensor]:
        """Mean squares of pseudo-gradients; those of layers are in their eigenbases."""
        pieces = trained.task.pieces(trained.theta_P)
        layers, others = _split(trained.task, bases)
        count = len(drawn_examples(trained, self.examples))
        found: dict[str, Tensor] = {}
        for batch, seen, errors in self._passes(trained):
            weights = [layer.weight for layer in layers]
            rotated = {weight: seen.inputs[weight] @ bases[f"inputs:{weight}"] for weight in weights}
            for error in errors:
                gradients = seen.output_gradients(error)
                for weight in weights:
                    turned_BTO = gradients[weight] @ bases[f"outputs:{weight}"]
                    _add(found, f"eigenvalues:{weight}", _squares(turned_BTO, rotated[weight]) / count)
                for name, gradient in _gradients(trained.task, pieces, others, batch, error).items():
                    _add(found, f"eigenvalues:{name}", gradient.square().sum(0) / count)
        return found

    def _passes(self, trained: Trained) -> Iterator[tuple[Batch, LayerPass, Iterator[Tensor]]]:
        """Yield batches of the drawn examples, their forward pass and its pseudo-gradients; same in every call."""
        layers = linear_layers(trained.task)
        generator = torch.Generator().manual_seed(0)
        theta_P, chosen = trained.theta_P, drawn_examples(trained, self.examples)
        rows = min(self.rows, gradients_at_once(theta_P))
        for begin in range(0, len(chosen), rows):
            batch, _ = trained.data.batch(chosen[begin : begin + rows], trained.device)
            seen = layer_pass(trained.task, theta_P, batch, layers)
            yield batch, seen, pseudo_errors(seen, self.labels, generator)

    def _solve(self, trained: Trained, fitted: NamedTensors, gradient_GP: Tensor) -> Tensor:
        """Apply (G + lambda)^-1 to each row, [G, P]."""
        task = trained.task
        sizes = [math.prod(shape) for shape in task.shapes.values()]
        pieces = dict(zip(task.shapes, gradient_GP.split(sizes, dim=1), strict=True))
        layers, others = _split(task, fitted)
        damping = self.damping * _mean_eigenvalue(fitted)
        for layer in layers:
            inputs_II, outputs_OO, values_OI = (
                fitted[f"{part}:{layer.weight}"] for part in ("inputs", "outputs", "eigenvalues")
            )
            rotated_GOI = outputs_OO.T @ layer.matrix(pieces, len(outputs_OO)) @ inputs_II
            solved_GOI = outputs_OO @ (rotated_GOI / (values_OI + damping)) @ inputs_II.T
            pieces |= layer.flattened(solved_GOI)
        for name in others:
            pieces[name] = pieces[name] / (fitted[f"eigenvalues:{name}"].flatten() + damping)
        return torch.cat(list(pieces.values()), 1)


def _mean_eigenvalue(fitted: NamedTensors) -> Tensor:
    """Mean eigenvalue of G over all parameters.

    Raises:
        ConfigError: it is 0, because the loss does not depend on the parameters.
    """
    values = torch.cat([value.flatten() for name, value in fitted.items() if name.startswith("eigenvalues:")])
    if not values.any():
        raise ConfigError(
            "ekfac: the training loss does not depend on the parameters. Check that the model is not frozen"
        )
    return values.mean()


def _split(task: FlatTask, bases: NamedTensors) -> tuple[list[Layer], list[str]]:
    """Layers with factors, and the names of all other parameters."""
    layers = [layer for layer in linear_layers(task) if f"inputs:{layer.weight}" in bases]
    inside = {name for layer in layers for name in layer.names}
    return layers, [name for name in task.shapes if name not in inside]


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
