"""The interface of every estimator: its inputs, the tensors that it stores, and its influences.

An estimator is additive: the influence of a group of training examples is the sum over its members. The caller
chooses the groups, so one implementation values sources and also finds single examples.

Legend: N training examples, n of a block of them, G groups, Q queries, R query rows, P parameters.
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
from tribute.tasks import FlatTask, WatchedModel
from tribute.training import Recipe, State, TrainingSet, Trajectory

NamedTensors = Mapping[str, Tensor]
"""Tensors that an estimator stores in a file between its steps."""
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Trained:
    """A recorded training of one seed."""

    recipe: Recipe
    trajectory: Trajectory
    steps: int
    """Number of recorded steps; 0 for a bare checkpoint."""

    @property
    def task(self) -> FlatTask:
        """The model with its training loss and measurement."""
        return self.recipe.task

    @property
    def data(self) -> TrainingSet:
        """The training examples."""
        return self.recipe.data

    @property
    def device(self) -> torch.device:
        """Device of all tensors."""
        return self.recipe.device

    @cached_property
    def final(self) -> State:
        """The state after the last step."""
        return self.state(self.steps)

    @cached_property
    def theta_P(self) -> Tensor:
        """Final parameters, [P]."""
        return self.task.flatten(self.final.theta)

    @cached_property
    def watched(self) -> WatchedModel:
        """The final model, and what it computes on the way: one copy for all passes, one thread at a time."""
        return WatchedModel(self.task, self.theta_P)

    def state(self, step: int) -> State:
        """Load the recorded state before a step."""
        return self.trajectory.load(step, self.device)

    def theta_at(self, step: int) -> Tensor:
        """Load the recorded parameters before a step, [P]."""
        return self.task.flatten(self.state(step).theta)


@dataclass(frozen=True)
class Groups:
    """The group of each training example, [N], from 0 to `count` - 1; -1 if it is in none."""

    group_N: NDArray[np.int64]
    count: int

    @classmethod
    def of_sources(cls, data: TrainingSet, sources: Sequence[int]) -> "Groups":
        """One group for each of these sources."""
        position_S = np.full(len(data.source_ids), -1, dtype=np.int64)
        position_S[list(sources)] = np.arange(len(sources))
        return cls(position_S[data.source_N], len(sources))

    @classmethod
    def of_examples(cls, data: TrainingSet, source: int) -> "Groups":
        """One group for each example of a source, in the order of the training set."""
        chosen_N = data.source_N == source
        group_N = np.where(chosen_N, np.cumsum(chosen_N) - 1, -1).astype(np.int64)
        return cls(group_N, int(chosen_N.sum()))

    def part(self, begin: int, end: int) -> "Groups":
        """Groups from `begin` up to `end` (exclusive), renumbered from 0."""
        inside_N = (self.group_N >= begin) & (self.group_N < end)
        return Groups(np.where(inside_N, self.group_N - begin, -1), end - begin)

    def members(self, group: int) -> NDArray[np.int64]:
        """Indices of the examples of a group."""
        return np.flatnonzero(self.group_N == group)

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Indices of all examples that belong to a group."""
        return np.flatnonzero(self.group_N >= 0)


class Estimator(Protocol):
    """A method of data attribution; its dataclass fields are its options.

    All tensors are on the device of the training. A positive influence means that the group helped. The unit is
    nats for methods that predict an effect, else any additive unit; each class documents its own.
    """

    model_free: ClassVar[bool] = False
    """Whether the method ignores the model, so that its influences are the same in every replicate."""

    def fit(self, trained: Trained) -> NamedTensors:
        """Compute what does not depend on the groups, such as curvature; called once for each replicate."""
        return {}

    def numbers_per_group(self, trained: Trained) -> int:
        """Numbers that `gather` holds in memory for each group; 0 if it stores little more than the membership."""
        ...

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """Compute the tensors of each group, independently of other groups."""
        ...

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influence of each group on each query, [Q, G]."""
        ...

    def coverage(self, trained: Trained, fitted: NamedTensors) -> str:
        """Which parameters it treats in another way than the rest; empty if all alike."""
        return ""


class ModelFree(Estimator, Protocol):
    """An estimator that compares examples with queries and ignores the model; it stores only the membership."""

    model_free: ClassVar[bool] = True

    def numbers_per_group(self, trained: Trained) -> int:
        """0: membership takes almost no memory."""
        return 0

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """The group of each training example, [N], -1 if in none, and the size of each group, [G]."""
        group_N = torch.from_numpy(groups.group_N).to(trained.device)
        return {"group_N": group_N, "size_G": torch.bincount(group_N[group_N >= 0], minlength=groups.count)}


def sum_by_group(value_Rn: Tensor, gathered: NamedTensors, first: int = 0) -> Tensor:
    """Sum values of consecutive training examples by group, [R, G].

    Args:
        gathered: the membership from `ModelFree.gather`.
        first: index of the first of these examples in the training set.
    """
    group_n = gathered["group_N"][first : first + value_Rn.shape[1]]
    inside_n = group_n >= 0
    sum_RG = value_Rn.new_zeros(len(value_Rn), len(gathered["size_G"]))
    return sum_RG.index_add_(1, group_n[inside_n], value_Rn[:, inside_n])


def groups_at_once(estimator: Estimator, trained: Trained, memory_gib: float) -> int:
    """Number of groups that fit into a memory budget, at least 1; all groups if they take almost no memory."""
    numbers = estimator.numbers_per_group(trained)
    return max(1, int(memory_gib * 2**30 / (FLOAT_BYTES * numbers))) if numbers else len(trained.data)
