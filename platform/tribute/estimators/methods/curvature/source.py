"""Influence by unrolling the training segment by segment, each with the EK-FAC curvature of its states (SOURCE).

Legend: N training examples, L segments, G groups, Q queries, P parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Groups, NamedTensors, Trained
from tribute.estimators.gradients import ResponseEstimator, group_gradients
from tribute.estimators.methods.curvature.kronecker import (
    Point,
    Sampling,
    coverage_of,
    fit_curvature,
    function_of,
    mean_eigenvalue,
)
from tribute.estimators.methods.curvature.reach import Stretch, reach_over, recorded_stretches


@dataclass(frozen=True)
class SegmentUnrolling(ResponseEstimator):
    """Influence by unrolling the training in segments of constant curvature (SOURCE).

    I[q, g] = -grad f(q) . sum over segments l of (S_L ... S_l+1) r_l: the nats that f(q) loses without the group.

    S_l = exp(-reach_l H_l) is what a segment leaves of an earlier change of the parameters, and r_l = (1/N)
    (I - exp(-reach_l H_l)) H_l^-1 g_l is the change that the group makes in it. g_l is the summed gradient of the
    group and H_l the Gauss-Newton matrix by EK-FAC, both averaged over the recorded states of the segment by their
    shares of its learning rate. reach_l is the sum of the segment's learning rates times what the optimizer makes
    of a gradient: 1 / (1 - mu) under heavy-ball momentum mu, 1 / (sqrt(v) + eps) for each parameter under Adam.

    Differences from the paper: under Adam the curvature is factored in coordinates in which Adam is descent by
    gradients, with one scale for each output and input of a layer. (The paper has the diagonal of H in the
    exponentials and EK-FAC for H^-1.) Segments are cut from the ten recorded states, which are a tenth of the
    learning rate apart. Clipping and weight decay are ignored.

    A fit costs that of `ekfac` for each checkpoint, a gather the gradient of each group at each checkpoint, a
    query its gradient.

    Source: arXiv 2405.12186.
    """

    segments: int = 3
    """Number of segments; at most one for each checkpoint."""
    checkpoints: int = 6
    """Number of recorded states to use, evenly spaced with the final one among them."""
    labels: int | str = "auto"
    """Draws per example, as of `ekfac`."""
    examples: int = 10_000
    """Number of randomly drawn training examples that H averages over."""
    rows: int = 256
    """Largest number of examples in a pass."""

    def __post_init__(self) -> None:
        self._sampling.check("source")
        if not 1 <= self.segments <= self.checkpoints:
            raise ConfigError(
                f"source: segments is {self.segments} and checkpoints {self.checkpoints}. Set segments to at "
                "least 1, and checkpoints to at least as many"
            )

    @property
    def _sampling(self) -> Sampling:
        return Sampling(self.labels, self.examples, self.rows)

    def fit(self, trained: Trained) -> NamedTensors:
        """EK-FAC of each segment, where reach is 1 (see `fit_curvature`); names begin with the segment's number.

        Raises:
            ConfigError: the training has no recorded steps, or its loss is not a cross-entropy of the outputs.
        """
        kept = dict[str, Tensor]()
        for index, segment in enumerate(self._segments(trained)):
            points = [Point(trained.theta_at(stretch.step), share) for stretch, share in segment]
            root_P = reach_over(trained, [stretch for stretch, _ in segment]).sqrt()
            fitted = fit_curvature(trained, points, self._sampling, root_P)
            kept |= {f"{index}/{name}": tensor for name, tensor in fitted.items()}
        return kept

    def numbers_per_group(self, trained: Trained) -> int:
        """Five vectors of parameters: response, gradient and its sum, in an eigenbasis, and changed."""
        return 5 * trained.task.size

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """The response of each group, [G, P]: the change of the final parameters by its weight."""
        response_GP = trained.theta_P.new_zeros(groups.count, trained.task.size)
        for index, segment in enumerate(self._segments(trained)):
            own = _of_segment(fitted, index)
            mean_eigenvalue("source", own)
            gradient_GP = torch.zeros_like(response_GP)
            for stretch, share in segment:
                gradient_GP += share * group_gradients(trained, trained.theta_at(stretch.step), groups)
            left_GP = function_of(trained.task, own, response_GP / own["root"], lambda values: (-values).exp())
            added_GP = function_of(trained.task, own, own["root"] * gradient_GP, _unrolled)
            response_GP = own["root"] * (left_GP - added_GP / len(trained.data))
        return {"response_GP": response_GP}

    def coverage(self, trained: Trained, fitted: NamedTensors) -> str:
        """The part of the parameters with factors, and the names of the others, which have a diagonal."""
        return coverage_of("source", trained.task, _of_segment(fitted, 0))

    def _segments(self, trained: Trained) -> Iterator[list[tuple[Stretch, float]]]:
        """Consecutive stretches of about equally many states, each with its share of the segment's rates."""
        stretches = recorded_stretches(trained, self.checkpoints, "source")
        count, rates = min(self.segments, len(stretches)), trained.recipe.schedule.rates
        for index in range(count):
            segment = stretches[index * len(stretches) // count : (index + 1) * len(stretches) // count]
            masses = [float(rates[stretch.steps.start : stretch.steps.stop].sum()) for stretch in segment]
            yield [(stretch, mass / sum(masses)) for stretch, mass in zip(segment, masses, strict=True)]


def _of_segment(fitted: NamedTensors, index: int) -> NamedTensors:
    """The fit of a segment."""
    return {
        name.partition("/")[2]: tensor for name, tensor in fitted.items() if name.partition("/")[0] == str(index)
    }


def _unrolled(values: Tensor) -> Tensor:
    """(1 - exp(-value)) / value, which tends to 1."""
    return torch.where(values > 0, -torch.expm1(-values) / values.clamp(min=torch.finfo(values.dtype).tiny), 1)
