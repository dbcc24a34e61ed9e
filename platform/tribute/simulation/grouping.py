"""Groups of sources, for corpora of thousands: large sources alone, small and similar sources together.

Ward's clustering of gradient sketches, with tokens as masses. Merging clusters a and b costs
n_a n_b / (n_a + n_b) |m_a - m_b|^2: the variation that a common value per token hides. The merges form a tree, so
undoing the last merge of a group splits it.

Legend: S sources, D sketch dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.tasks import Parameters
from tribute.training import Recipe, gradient
from tribute.training.step import MicroBatch

SKETCH = 256
MIN_MASS = 1e-3
"""Mass of a source without tokens."""
MAX_SKETCHED_EXAMPLES = 128
"""Largest number of examples in the sketch of a source."""


@dataclass(frozen=True)
class Merge:
    """A merge of two clusters: their indices (sources first, then merges in order) and the variation it hides."""

    left: int
    right: int
    cost: float


def sketches(recipe: Recipe, theta: Parameters, sources: Sequence[int], seed: int) -> NDArray[np.float64]:
    """Count sketch of each source's mean gradient at theta: `SKETCH` numbers by random signs, [S, D].

    The sketch of a source without examples is 0.
    """
    generator = torch.Generator().manual_seed(seed)
    bucket_P = torch.randint(SKETCH, (recipe.task.size,), generator=generator).to(recipe.device)
    sign_P = (2 * torch.randint(2, (recipe.task.size,), generator=generator) - 1).to(
        recipe.device, recipe.task.dtype
    )
    sketch_SD = sign_P.new_zeros(len(sources), SKETCH)
    for row, source in enumerate(sources):
        members = np.flatnonzero(recipe.data.source_N == source)
        if not len(members):
            continue
        count = min(MAX_SKETCHED_EXAMPLES, len(members))
        chosen = members[np.linspace(0, len(members) - 1, count, dtype=np.int64)]
        batch, _ = recipe.data.batch(chosen, recipe.device)
        slope = gradient(recipe.task, theta, [MicroBatch(batch, sign_P.new_ones(len(chosen)))])
        sketch_SD[row].index_add_(0, bucket_P, sign_P * recipe.task.flatten(slope))
    return sketch_SD.double().cpu().numpy()


def ward_tree(sketch_SD: NDArray[np.float64], tokens_S: NDArray[np.float64]) -> list[Merge]:
    """All S - 1 merges in order; each is the cheapest at its step."""
    count = len(tokens_S)
    mean, mass = sketch_SD.copy(), tokens_S.astype(np.float64).clip(MIN_MASS)
    names, merges = np.arange(count), []
    cost = _costs(mean, mass, mean, mass)
    np.fill_diagonal(cost, np.inf)
    nearest = cost.argmin(1)
    for index in range(count - 1):
        left = int(cost[np.arange(count), nearest].argmin())
        right = int(nearest[left])
        merges.append(Merge(int(names[left]), int(names[right]), float(cost[left, right])))
        total = mass[left] + mass[right]
        mean[left] = (mass[left] * mean[left] + mass[right] * mean[right]) / total
        mass[left], names[left] = total, count + index
        cost[right], cost[:, right] = np.inf, np.inf
        alive = np.isfinite(cost[left]) | (np.arange(count) == left)
        fresh = np.where(alive, _costs(mean[left : left + 1], mass[left : left + 1], mean, mass)[0], np.inf)
        fresh[left] = np.inf
        cost[left], cost[:, left] = fresh, fresh
        stale = (nearest == left) | (nearest == right)
        nearest[stale] = cost[stale].argmin(1)
        better = fresh < cost[np.arange(count), nearest]
        nearest[better] = left
        nearest[left] = fresh.argmin()
    return merges


def _costs(
    mean_a: NDArray[np.float64],
    mass_a: NDArray[np.float64],
    mean_b: NDArray[np.float64],
    mass_b: NDArray[np.float64],
) -> NDArray[np.float64]:
    square = np.square(mean_a).sum(1)[:, None] + np.square(mean_b).sum(1) - 2 * mean_a @ mean_b.T
    cost: NDArray[np.float64] = mass_a[:, None] * mass_b / (mass_a[:, None] + mass_b) * square.clip(0)
    return cost


class WardTree:
    """The merges as a tree of groups, which can be cut into groups and split further."""

    def __init__(self, merges: Sequence[Merge]) -> None:
        self._sources, self._merges = len(merges) + 1, list(merges)

    def cut(self, groups: int) -> list[int]:
        """Nodes that remain after undoing the last `groups` - 1 merges."""
        nodes = {self._sources + len(self._merges) - 1}
        while len(nodes) < min(groups, self._sources):
            last = max(nodes)
            nodes = nodes - {last} | set(self.children(last))
        return sorted(nodes)

    def children(self, node: int) -> tuple[int, ...]:
        """The two parts of a group; empty for a single source."""
        if node < self._sources:
            return ()
        merge = self._merges[node - self._sources]
        return merge.left, merge.right

    def variation(self, node: int) -> float:
        """Variation that splitting the group would reveal; 0 for a single source."""
        return 0.0 if node < self._sources else self._merges[node - self._sources].cost

    def members(self, node: int) -> tuple[int, ...]:
        """Sources in a group, ascending."""
        leaves, open_nodes = [], [node]
        while open_nodes:
            parts = self.children(open_nodes[-1])
            if not parts:
                leaves.append(open_nodes[-1])
            open_nodes[-1:] = parts
        return tuple(sorted(leaves))

    def worth_splitting(self, nodes: Sequence[int], values: Sequence[float], count: int) -> list[int]:
        """At most `count` groups with the largest product of value and hidden variation; never single sources."""
        scores = {
            n: max(v, 0.0) * self.variation(n) for n, v in zip(nodes, values, strict=True) if self.children(n)
        }
        ranked = sorted((n for n in scores if scores[n] > 0), key=lambda n: (-scores[n], n))
        return ranked[:count]
