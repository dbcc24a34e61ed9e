"""Influence functions with EK-FAC curvature: a Kronecker-factored eigenbasis for every linear layer.

Legend: N training examples, B of a batch, G groups, Q queries, P parameters; of a layer T positions, I inputs
(with 1 for the bias) and O outputs; V outputs of the model.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vmap

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.gradients import drawn_examples, group_gradients, single, slopes_along, slopes_at_once
from tribute.estimators.layers import Layer, Pass, layer_pass, linear_layers, pseudo_errors
from tribute.readout import QueryRows
from tribute.tasks import Batch, FlatTask

MOST_ROWS = 256
"""Examples of a pass."""


@dataclass(frozen=True)
class EkFac(Estimator):
    """Influence function: the inverse of a curvature that is factored layer by layer (EK-FAC).

    I[q, g] = -(1/N) grad f(q) . (G + lambda)^-1 sum over the group of grad loss(z): nats that f(q) loses
    when the group is absent, positive where it helped.

    G is block diagonal: of a linear layer Q Lambda Q' with Q = Q_S (x) Q_A, the eigenvectors of S = E[Ds Ds']
    and A = E[a a'], a with a 1 where there is a bias, and Lambda = E[(Q' vec(sum over positions Ds a'))^2].
    Of every other parameter (embeddings, norms, positions, weights that layers share, convolutions, layers that
    not every example passes through) it is the diagonal, E[gradient^2]. Expectations are over training examples
    and labels that the model itself gives out. Dropout is off.

    The papers draw those labels. Here their outer products are taken exactly, or by random signs along the
    columns of a square root of the loss's Hessian: the same expectation, the Gauss-Newton matrix, but a
    confident model's rare other labels are no longer a lottery. Losses that weigh positions, such as a mean
    over them, are weighed alike in G, which so is that of the training loss itself.

    A fit costs two forward passes over `examples` and two backward passes for every label, a gather the
    gradient of every group, a query its own gradient.

    Source: George et al., arXiv 1806.03884; Grosse et al., arXiv 2308.03296.
    """

    damping: float = 1.0
    """lambda as a multiple of G's mean eigenvalue, a pure number. One lambda for all layers: a tenth of each
    layer's own mean, as in arXiv 2308.03296, ordered removals worse (LDS .47 against .57 on a fitted network of
    1,000 images, the same on 5,000)."""
    labels: int | str = "auto"
    """Draws per example; or exact: all of them, one for each output of the model (positions times classes);
    auto: exact up to 16 outputs, else 4 draws, whose influences correlate with those of 32 at 1.000 (a small
    transformer)."""
    examples: int = 10_000
    """Training examples that G is the mean of, drawn once; all of them where there are no more."""

    def __post_init__(self) -> None:
        known = self.labels in ("auto", "exact") or (isinstance(self.labels, int) and self.labels >= 1)
        if self.damping <= 0 or not known or self.examples < 1:
            raise ConfigError(
                "ekfac: damping is above 0, labels auto, exact or a number from 1, examples at least 1; got "
                f"{self.damping:g}, {self.labels!r} and {self.examples}"
            )

    def fit(self, trained: Trained) -> Kept:
        """Of layers Q_A [I, I], Q_S [O, O] and Lambda [O, I], by weight; of other parameters the diagonal."""
        factors: dict[str, Tensor] = {}
        everywhere = {layer.weight for layer in linear_layers(trained.task)}
        for _, seen, errors in self._passes(trained):
            everywhere &= seen.taken.keys()
            for weight in seen.taken:
                _add(factors, f"inputs:{weight}", _outer(seen.counted(weight)))
            for error in errors:
                for weight, slope_BTO in seen.slopes(error).items():
                    _add(factors, f"outputs:{weight}", _outer(slope_BTO))
        kept = {name: factor for name, factor in factors.items() if name.partition(":")[2] in everywhere}
        bases = {name: _eigenvectors(factor) for name, factor in kept.items()}
        return bases | self._eigenvalues(trained, bases)

    def held(self, trained: Trained) -> int:
        """Vectors of parameters: gradients, in the eigenbasis, and solved."""
        return 3 * trained.task.size

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """The response of each group, [G, P]."""
        slope_GP = group_gradients(trained, trained.theta_P, groups)
        return {"response_GP": self._solve(trained, fitted, slope_GP) / -len(trained.data)}

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        return slopes_along(trained.task, trained.theta_P, gathered["response_GP"], queries)

    def _eigenvalues(self, trained: Trained, bases: Kept) -> dict[str, Tensor]:
        """Mean squares of pseudo-gradients: of layers in their eigenbases, of the rest as they are."""
        pieces = trained.task.pieces(trained.theta_P)
        layers, others = _split(trained.task, bases)
        count = len(drawn_examples(trained, self.examples))
        found: dict[str, Tensor] = {}
        for batch, seen, errors in self._passes(trained):
            weights = [layer.weight for layer in layers]
            rotated = {weight: seen.taken[weight] @ bases[f"inputs:{weight}"] for weight in weights}
            for error in errors:
                slopes = seen.slopes(error)
                for weight in weights:
                    turned_BTO = slopes[weight] @ bases[f"outputs:{weight}"]
                    _add(found, f"eigenvalues:{weight}", _squares(turned_BTO, rotated[weight]) / count)
                for name, gradient in _gradients(trained.task, pieces, others, batch, error).items():
                    _add(found, f"eigenvalues:{name}", gradient.square().sum(0) / count)
        return found

    def _passes(self, trained: Trained) -> Iterator[tuple[Batch, Pass, Iterator[Tensor]]]:
        """Batches of the drawn examples, their forward pass and its pseudo-gradients: always alike."""
        layers = linear_layers(trained.task)
        generator = torch.Generator().manual_seed(0)
        theta_P, chosen = trained.theta_P, drawn_examples(trained, self.examples)
        rows = min(MOST_ROWS, slopes_at_once(theta_P))
        for begin in range(0, len(chosen), rows):
            batch, _ = trained.data.batch(chosen[begin : begin + rows], trained.device)
            seen = layer_pass(trained.task, theta_P, batch, layers)
            yield batch, seen, pseudo_errors(seen, self.labels, generator)

    def _solve(self, trained: Trained, fitted: Kept, slope_GP: Tensor) -> Tensor:
        """(G + lambda)^-1 of every row, [G, P]."""
        task = trained.task
        sizes = [math.prod(shape) for shape in task.shapes.values()]
        pieces = dict(zip(task.shapes, slope_GP.split(sizes, dim=1), strict=True))
        layers, others = _split(task, fitted)
        damping = self.damping * _mean_eigenvalue(fitted)
        for layer in layers:
            inputs_II, outputs_OO, values_OI = (
                fitted[f"{part}:{layer.weight}"] for part in ("inputs", "outputs", "eigenvalues")
            )
            columns = [pieces[name].unflatten(1, (len(outputs_OO), -1)) for name in layer.names]
            rotated_GOI = outputs_OO.T @ torch.cat(columns, 2) @ inputs_II
            solved_GOI = outputs_OO @ (rotated_GOI / (values_OI + damping)) @ inputs_II.T
            split = solved_GOI.split([column.shape[2] for column in columns], 2)
            pieces |= {name: part.flatten(1) for name, part in zip(layer.names, split, strict=True)}
        for name in others:
            pieces[name] = pieces[name] / (fitted[f"eigenvalues:{name}"].flatten() + damping)
        return torch.cat(list(pieces.values()), 1)


def _mean_eigenvalue(fitted: Kept) -> Tensor:
    """Of G, over all parameters.

    Raises:
        ConfigError: it is 0, since the loss does not depend on the parameters.
    """
    values = torch.cat([value.flatten() for name, value in fitted.items() if name.startswith("eigenvalues:")])
    if not values.any():
        raise ConfigError("ekfac: the training loss does not depend on the parameters. Is the model frozen?")
    return values.mean()


def _split(task: FlatTask, bases: Kept) -> tuple[list[Layer], list[str]]:
    """The layers that have factors, since no batch left them out, and the other parameters."""
    layers = [layer for layer in linear_layers(task) if f"inputs:{layer.weight}" in bases]
    inside = {name for layer in layers for name in layer.names}
    return layers, [name for name in task.shapes if name not in inside]


def _gradients(
    task: FlatTask, pieces: Mapping[str, Tensor], names: Sequence[str], batch: Batch, error: Tensor
) -> Mapping[str, Tensor]:
    """Of every example the gradient of outputs . error by the named parameters, [B, ...] each."""

    def along(moved: dict[str, Tensor], row: Batch, error_V: Tensor) -> Tensor:
        return (task.evaluated.outputs_at({**pieces, **moved}, single(row))[0] * error_V).sum()

    if not names:
        return {}
    return vmap(grad(along), in_dims=(None, 0, 0))({name: pieces[name] for name in names}, batch, error)


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value


def _outer(values_BTD: Tensor) -> Tensor:
    """Sum of outer products, [D, D]; only its eigenvectors count."""
    flat_ND = values_BTD.flatten(0, 1)
    return flat_ND.T @ flat_ND


def _squares(slope_BTO: Tensor, taken_BTI: Tensor) -> Tensor:
    """Sum over examples of (sum over positions slope taken')^2, [O, I]; at one position squares factor."""
    if slope_BTO.shape[1] == 1:
        return slope_BTO[:, 0].square().T @ taken_BTI[:, 0].square()
    return torch.einsum("bto,bti->boi", slope_BTO, taken_BTI).square().sum(0)


def _eigenvectors(factor_DD: Tensor) -> Tensor:
    """In columns, found in double precision."""
    return torch.linalg.eigh(factor_DD.double()).eigenvectors.to(factor_DD)
