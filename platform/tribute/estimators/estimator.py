"""The interface of every estimator: what it may look at, what it keeps, and what it says of queries.

An estimator is additive: the influence of a group of training examples is the sum over its members. Which examples
make up a group is the caller's choice, so that one implementation values sources and finds single examples.

Legend: N training examples, G groups, Q queries, P parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.readout import QueryRows
from tribute.tasks import FlatTask
from tribute.training import Recipe, State, TrainingSet, Trajectory

Kept = Mapping[str, Tensor]
"""What is written to a file between the steps of an estimator."""
BYTES = 4
"""Of a number, in single precision."""


@dataclass(frozen=True)
class Trained:
    """A recorded training of one seed."""

    recipe: Recipe
    trajectory: Trajectory
    steps: int
    """Steps of the whole training: those of the recipe, 0 for a bare checkpoint."""

    @property
    def task(self) -> FlatTask:
        """The model and its two functions."""
        return self.recipe.task

    @property
    def data(self) -> TrainingSet:
        """The training examples."""
        return self.recipe.data

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self.recipe.device

    @cached_property
    def final(self) -> State:
        """The state after the last step."""
        return self.state(self.steps)

    @property
    def theta_P(self) -> Tensor:
        """Final parameters, [P]."""
        return self.final.theta

    def state(self, step: int) -> State:
        """A recorded state."""
        return self.trajectory.load(step, self.device)


@dataclass(frozen=True)
class Groups:
    """The group of every training example, [N] from 0 to `count` - 1; -1: in none."""

    group_N: NDArray[np.int64]
    count: int

    @classmethod
    def of_sources(cls, data: TrainingSet, sources: Sequence[int]) -> "Groups":
        """Every one of these sources is a group."""
        position_S = np.full(len(data.source_ids), -1, dtype=np.int64)
        position_S[list(sources)] = np.arange(len(sources))
        return cls(position_S[data.source_N], len(sources))

    @classmethod
    def of_examples(cls, data: TrainingSet, source: int) -> "Groups":
        """Every example of one source is a group of its own, in the order of the training set."""
        chosen_N = data.source_N == source
        group_N = np.where(chosen_N, np.cumsum(chosen_N) - 1, -1).astype(np.int64)
        return cls(group_N, int(chosen_N.sum()))

    def part(self, begin: int, end: int) -> "Groups":
        """The groups from `begin` up to `end`, counted from 0."""
        inside_N = (self.group_N >= begin) & (self.group_N < end)
        return Groups(np.where(inside_N, self.group_N - begin, -1), end - begin)

    def members(self, group: int) -> NDArray[np.int64]:
        """Indices of a group's examples."""
        return np.flatnonzero(self.group_N == group)

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Indices of all examples that are in a group."""
        return np.flatnonzero(self.group_N >= 0)


class Estimator(Protocol):
    """A way to say how training examples shaped a model's answers; its fields are its options.

    Every tensor is on the device of the training. Influences are positive where the group helped: in nats
    where the method says how much, else in any unit that adds up; each docstring says which.
    """

    model_free: ClassVar[bool] = False
    """Whether only examples and queries are compared, so that it says the same of every replicate."""

    def fit(self, trained: Trained) -> Kept:
        """What does not depend on the groups, such as curvature: once for every replicate."""
        return {}

    def held(self, trained: Trained) -> int:
        """How many numbers `gather` holds of each group at once; 0 if hardly more than who is in it."""
        ...

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """What is kept of each group; independent of other groups."""
        ...

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """Influence of each group on each query, [Q, G]."""
        ...


def groups_at_once(estimator: Estimator, trained: Trained, memory_gib: float) -> int:
    """How many groups fit into this memory, at least 1; all of them where they take next to none."""
    held = estimator.held(trained)
    return max(1, int(memory_gib * 2**30 / (BYTES * held))) if held else len(trained.data)
