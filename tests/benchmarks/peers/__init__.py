"""Estimators of others on our worlds: traker, dattri and kronfluence, each as its documentation recommends.

They run in an environment of their own (`environment`), in a process that knows nothing of tribute (`run`).

Legend: M models, K checkpoints, P parameters, N training examples, Q queries, S sources.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.benchmarks.peers.environment import NoPeers, peers_python
from tests.benchmarks.worlds import WARM_UP, World
from tribute.corpus import QueryTable
from tribute.errors import ConfigError
from tribute.readout import QueryRows
from tribute.readout.features import rows_at_once
from tribute.tasks import joined
from tribute.tasks.classifier import Classifier
from tribute.training import Recipe, State

__all__ = ["ExampleScores", "NoPeers", "PeerRow", "judge", "judge_examples"]
MODELS = 10
"""Models that TRAK is averaged over."""
CHECKPOINTS = 10
FURTHER_SEEDS = 500
"""Seeds of the models that TRAK needs beyond those given count from here."""
QUIET = {"TQDM_DISABLE": "1"}
SIDE_BY_SIDE = (("trak_models", "kronfluence_ekfac"), ("dattri_methods",))
"""Libraries, by the process that runs them."""
WORKER = Path(__file__).with_name("run.py")


class ExampleScores(NamedTuple):
    """Scores of examples by one method, [N, Q] in its own unit, positive: helped; costs as in `PeerRow`."""

    method: str
    score_NQ: NDArray[np.float64]
    prepare_in_trainings: float
    query_in_forwards: float
    stored_bytes: int


class PeerRow(NamedTuple):
    """Influence of each source by one method, [Q, S] in its own unit, positive: helped; and its cost."""

    method: str
    influence_QS: NDArray[np.float64]
    prepare_in_trainings: float
    """What a peer does once and keeps, further models included, in trainings of the model."""
    query_in_forwards: float
    """A query among all of them in one call, in all models, in plain forward passes of a query."""
    stored_bytes: int
    """What a peer keeps for later queries, beside models, recorded states and training examples."""


class _Course(NamedTuple):
    """Ten states along a training, the learning-rate mass before each, and processor seconds."""

    checkpoint_KP: Tensor
    rate_K: Tensor
    seconds: float


def judge(world: World, thetas: Sequence[Tensor], queries: QueryTable) -> list[PeerRow]:
    """Every method with the first of the models, and with the mean of all; TRAK with ten.

    Costs are processor seconds of one thread, in units that were timed in the same way.

    Args:
        thetas: final parameters, [P], of `world.recipe(seed)` under seeds below `FURTHER_SEEDS`.

    Raises:
        NoPeers: their environment cannot be made.
        ConfigError: the model is no `Classifier`.
    """
    task = world.recipe(0).task.task
    if not isinstance(task, Classifier) or task.measure != "margin":
        raise ConfigError("The peers are run on classifiers that measure the margin. Leave PEERS=1 out")
    layers = (task.features, *task.hidden, task.classes)
    found = judge_examples(world.recipe, layers, task.activation, thetas, QueryRows.of(queries))
    member_NS = np.eye(len(world.data.source_ids))[world.data.source_N]
    return [PeerRow(each.method, each.score_NQ.T @ member_NS, *each[2:]) for each in found]


def judge_examples(
    recipe_of: Callable[[int], Recipe],
    layers: Sequence[int],
    activation: str,
    thetas: Sequence[Tensor],
    queries: QueryRows,
) -> list[ExampleScores]:
    """The same by training example, on the margins of a network of linear layers.

    Args:
        recipe_of: the training under a seed.
        layers: widths of the network, from features to classes.
        thetas: final parameters, [P], under seeds below `FURTHER_SEEDS`.

    Raises:
        NoPeers: their environment cannot be made.
    """
    python, (course, further) = peers_python(), _trained(recipe_of, MODELS - len(thetas))
    recipe = recipe_of(0)
    held = {
        "layers": np.array(layers),
        "activation": np.array(activation),
        "theta_MP": torch.stack([*thetas, *further]).numpy(),
        "judged": np.array(len(thetas)),
        "checkpoint_KP": course.checkpoint_KP.numpy(),
        "rate_K": course.rate_K.numpy(),
        "train_ND": recipe.data.columns["features"],
        "label_N": recipe.data.columns["labels"],
        "query_QD": queries.columns["features"],
        "label_Q": queries.columns["labels"],
        "forward_rows": np.array(rows_at_once(recipe.task, thetas[0], queries)),
    }
    with TemporaryDirectory() as folder:
        job = Path(folder) / "job.npz"
        np.savez(job, **held)
        command = [str(python), "-W", "ignore", str(WORKER), str(job)]
        outs = {Path(folder) / f"{libraries[0]}.npz": libraries for libraries in SIDE_BY_SIDE}
        started = [
            subprocess.Popen([*command, str(out), *libraries], env=os.environ | QUIET)
            for out, libraries in outs.items()
        ]
        if any([process.wait() for process in started]):
            raise subprocess.CalledProcessError(1, command)
        return [found for out in outs for found in _found(out, course.seconds)]


def _found(out: Path, training: float) -> list[ExampleScores]:
    """What a worker wrote; its seconds in trainings of so many seconds."""
    with np.load(out) as file:
        rows = json.loads(str(file["rows"]))
        return [
            ExampleScores(
                row["method"],
                file[f"score_NQ_{index}"].astype(np.float64),
                row["prepare_seconds"] / training + row["models"] - 1,
                row["query_in_forwards"],
                row["stored_bytes"],
            )
            for index, row in enumerate(rows)
        ]


def _trained(recipe_of: Callable[[int], Recipe], further: int) -> tuple[_Course, list[Tensor]]:
    """A training with its checkpoints, and the final parameters of further seeds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        finals = [_final(recipe_of(FURTHER_SEEDS + index)) for index in range(further)]
        return _course(recipe_of(0)), finals
    finally:
        torch.set_num_threads(threads)


def _final(recipe: Recipe) -> Tensor:
    everything = torch.ones(len(recipe.data.source_ids))
    return joined(recipe.run(recipe.initial(), range(recipe.steps), everything).theta)


def _course(recipe: Recipe) -> _Course:
    everything = torch.ones(len(recipe.data.source_ids))
    bounds = np.unique(np.linspace(0, recipe.steps, CHECKPOINTS + 1).round().astype(int))
    held: dict[int, Tensor] = {}

    def keep(step: int, state: State) -> None:
        if step in bounds:
            held[step] = joined(state.theta)

    recipe.run(recipe.initial(), range(min(WARM_UP, recipe.steps)), everything)
    began = time.process_time()
    recipe.run(recipe.initial(), range(recipe.steps), everything, keep)
    seconds = time.process_time() - began
    mass = np.concatenate([[0.0], np.cumsum(recipe.schedule.rates)])[bounds]
    chosen = [held[step] for step in bounds[1:]]
    return _Course(torch.stack(chosen), torch.from_numpy(np.diff(mass).astype(np.float32)), seconds)
