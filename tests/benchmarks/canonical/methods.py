"""What every method of ours says of a setting's training examples, and what it costs.

Costs are processor time of one thread: the preparation in trainings, a query in plain forward passes of the model.

Legend: N training examples, Q queries, S sources, P parameters.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.estimates import forward_seconds, stored_bytes
from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS, Estimator, Groups, Trained, build_estimator
from tribute.estimators.estimator import groups_at_once
from tribute.readout import QueryRows, read_out
from tribute.simulation import build_mode, build_schedule, simulate
from tribute.tasks import Scope, joined
from tribute.training import Recipe, TrainingSet, record

MEMORY_GIB = 1.5
"""For what an estimator holds of a part of the examples."""
HALVES = 7000
"""Seeds of the models of halves count from here."""
EXAMPLES_TOGETHER = 20
"""Examples whose removal is simulated together."""


class Setting(Protocol):
    """What is asked of a setting: its training under a seed, its queries, and the examples left out one by one."""

    name: str

    def recipe(self, seed: int = 0) -> Recipe:
        """The training."""
        ...

    @property
    def query_rows(self) -> QueryRows:
        """The queries."""
        ...

    @property
    def singles(self) -> NDArray[np.int64]:
        """Examples that are left out one by one."""
        ...


@dataclass(frozen=True)
class Variant:
    """An estimator with options, under a name of the table, averaged over models of several seeds.

    ``singles``: it scores the examples that are left out one by one, and no others. ``halves``: the models are
    trained on halves of the examples (`halved`).
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    models: int = 1
    singles: bool = False
    halves: bool = False

    @property
    def method(self) -> str:
        """What the table calls it."""
        return self.title or self.name


class Estimated(NamedTuple):
    """Scores [N, Q], positive: the example helped; the costs, and the bytes that are stored, if known.

    ``whole``: every example has a score; else only those left out one by one have, and the others are 0.
    """

    method: str
    score_NQ: NDArray[np.floating]
    prepare_in_trainings: float
    query_in_forwards: float
    stored_bytes: int | None
    whole: bool = True


class Judged(NamedTuple):
    """A trained model, and processor seconds of its training and of a plain forward pass of all queries.

    ``fitted_on``: its training on some of the examples, which curvature is fitted on; None: it was trained on all.
    """

    trained: Trained
    training: float
    forward: float
    fitted_on: Trained | None = None

    @classmethod
    def of(cls, setting: Setting, seed: int, folder: Path) -> "Judged":
        """Train under a seed."""
        recipe = setting.recipe(seed)
        everything = torch.ones(len(recipe.data.source_ids))
        recipe.run(recipe.initial(), range(min(20, recipe.steps)), everything)  # what is lazy is there now
        began = time.process_time()
        trained = Trained(recipe, record(recipe, folder), recipe.steps)
        training = time.process_time() - began
        return cls(trained, training, forward_seconds(trained, setting.query_rows))


def estimated(setting: Setting, variants: Sequence[Variant], seeds: Sequence[int]) -> Iterator[Estimated]:
    """Every estimator on the model of the first seed, or the mean over the first `models` of the seeds."""
    torch.set_num_threads(1)
    most = max((each.models for each in variants if not each.halves), default=1)
    with tempfile.TemporaryDirectory() as folder:
        models = [Judged.of(setting, seed, Path(folder) / str(seed)) for seed in seeds[:most]]
        for variant in variants:
            estimator = build_estimator(variant.name, variant.options)
            try:
                if variant.halves:
                    yield halved(setting, variant, estimator, models[0])
                    continue
                each = [_one(variant, estimator, model, setting) for model in models[: variant.models]]
            except ConfigError as error:
                print(f"{setting.name}, {variant.method}: {error}", flush=True)
                continue
            score_NQ = np.mean([one.score_NQ for one in each], 0, dtype=np.float32)
            prepared = sum(one.prepare_in_trainings for one in each) + len(each) - 1
            query = sum(one.query_in_forwards for one in each)
            stored = sum(one.stored_bytes or 0 for one in each)
            print(f"{setting.name}, {variant.method}: {prepared:.1f} trainings, {query:.0f} passes", flush=True)
            yield Estimated(variant.method, score_NQ, prepared, query, stored, whole=not variant.singles)


def halved(setting: Setting, variant: Variant, estimator: Estimator, full: Judged) -> Estimated:
    """Models trained on random halves of the examples and on the other halves, as many on either.

    An example's score is the mean of the models that had it, plus the mean of those that had not, each in units of
    its standard deviation. To leave an example out and to add one are different questions, of which gradients of
    the second kind are larger: they would drown the first in a plain mean.

    Raises:
        ValueError: an odd number of models.
    """
    if variant.models % 2:
        raise ValueError(f"{variant.method}: {variant.models} models, expected an even number")
    data, sums = full.trained.data, np.zeros((2, len(full.trained.data), len(setting.query_rows.query_ids)))
    prepared = query = 0.0
    stored = list[int | None]()
    for number in range(variant.models):
        order = np.random.default_rng([HALVES, number // 2]).permutation(len(data))
        kept_N = np.isin(np.arange(len(data)), order[: len(data) // 2]) == (number % 2 == 0)
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            model = _trained_on(full, kept_N, HALVES + number, Path(folder))
            prepared += (time.process_time() - began) / full.training
            one = _one(variant, estimator, model, setting)
        sums[0, kept_N] += one.score_NQ[kept_N]
        sums[1, ~kept_N] += one.score_NQ[~kept_N]
        prepared, query = prepared + one.prepare_in_trainings, query + one.query_in_forwards
        stored.append(one.stored_bytes)
        print(f"{setting.name}, {variant.method}: model {number + 1} of {variant.models}", flush=True)
    score_NQ = (sums / sums.std((1, 2), keepdims=True)).sum(0).astype(np.float32)
    known = [each for each in stored if each is not None]
    total = sum(known) if len(known) == len(stored) else None
    return Estimated(variant.method, score_NQ, prepared, query, total)


def _trained_on(full: Judged, kept_N: NDArray[np.bool_], seed: int, folder: Path) -> Judged:
    recipe, data = full.trained.recipe, full.trained.data
    part = TrainingSet(data.source_ids, data.source_N[kept_N], {k: v[kept_N] for k, v in data.columns.items()})
    half = replace(recipe, data=part, seed=seed)
    fitted_on = Trained(half, record(half, folder), half.steps)
    whole = Trained(replace(recipe, seed=seed), fitted_on.trajectory, half.steps)
    return full._replace(trained=whole, fitted_on=fitted_on)


def every_estimator(without: Sequence[str], singles: Sequence[str] = ()) -> list[Variant]:
    """Every other registered estimator, with its defaults; some for the examples left out one by one alone."""
    return [Variant(name, singles=name in singles) for name in ESTIMATORS if name not in without]


def _one(variant: Variant, estimator: Estimator, model: Judged, setting: Setting) -> Estimated:
    """One model; examples that do not fit into memory together are gathered in parts."""
    trained, queries = model.trained, setting.query_rows
    chosen = setting.singles if variant.singles else np.arange(len(trained.data.source_ids))
    whole = Groups.of_sources(trained.data, chosen.tolist())
    size = groups_at_once(estimator, trained, MEMORY_GIB)
    began = time.process_time()
    fitted = estimator.fit(model.fitted_on or trained)
    prepared, asked, stored, parts = time.process_time() - began, 0.0, stored_bytes(fitted.values()), []
    for begin in range(0, whole.count, size):
        began = time.process_time()
        gathered = estimator.gather(trained, fitted, whole.part(begin, min(begin + size, whole.count)))
        prepared += time.process_time() - began
        began = time.process_time()
        with torch.no_grad():
            parts.append(estimator.influence(trained, fitted, gathered, queries).float().cpu().numpy())
        asked += time.process_time() - began
        stored += stored_bytes(gathered.values())
        del gathered  # else it is held while the next part is gathered
    score_NQ = np.zeros((len(trained.data), len(queries.query_ids)), dtype=np.float32)
    score_NQ[chosen] = np.concatenate(parts, 1).T
    return Estimated(variant.method, score_NQ, prepared / model.training, asked / model.forward, stored)


def simulated(setting: Setting, seed: int, simulations: Mapping[str, SimulationSettings]) -> Iterator[Estimated]:
    """Simulations of the examples that are left out one by one, each of which is a source."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = Judged.of(setting, seed, Path(folder))
        for title, settings in simulations.items():
            yield _simulated(setting, model, title, settings)


def _simulated(setting: Setting, model: Judged, title: str, settings: SimulationSettings) -> Estimated:
    trained, queries = model.trained, setting.query_rows
    recipe, final = trained.recipe, trained.final.theta
    schedule, began = build_schedule(recipe, settings, final), time.process_time()
    first, everything = (
        trained.trajectory.last_before(schedule.steps.start),
        torch.ones(len(recipe.data.source_ids)),
    )
    start = recipe.run(trained.state(first), range(first, schedule.steps.start), everything)
    responses = []
    for begin in range(0, len(setting.singles), EXAMPLES_TOGETHER):
        chosen = torch.from_numpy(setting.singles[begin : begin + EXAMPLES_TOGETHER])
        change_KS = torch.nn.functional.one_hot(chosen, len(recipe.data.source_ids)).float()
        mode = build_mode(schedule, settings, change_KS)
        responses.append(joined(simulate(mode, mode.begin(start), schedule.steps.start).response, 1))
    prepared, response_KP = time.process_time() - began, torch.cat(responses)
    began = time.process_time()
    [read] = read_out("jvp", Scope(recipe.task, settings.scope), [trained.theta_P], [response_KP], queries)
    asked = time.process_time() - began
    score_NQ = np.zeros((len(recipe.data), len(queries.query_ids)), dtype=np.float32)
    score_NQ[setting.singles] = read.influence_QS.T.numpy()
    print(f"{setting.name}, {title}: {prepared / model.training:.1f} trainings", flush=True)
    costs = (prepared / model.training, asked / model.forward)
    return Estimated(title, score_NQ, *costs, stored_bytes([response_KP]), whole=False)
