"""A part of a project: a study that trains its model."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tribute
from tests.fuzz.chance import Chance
from tests.fuzz.odd_ids import canonical, drawn_ids
from tests.fuzz.part import Part, Wrong, require, require_close
from tests.fuzz.study.models import FROZEN, MODELS
from tests.fuzz.study.paid import OF_ALL, check_estimate, check_payout
from tests.fuzz.study.tasks import spoiled
from tests.fuzz.study.worlds import (
    Method,
    World,
    drawn_fault,
    drawn_method,
    drawn_training,
    drawn_world,
    exact_influence,
    plain_training,
    wrong_function,
)

CLOSE = {"removal": 5e-4, "derivative": 5e-3, "banzhaf": 5e-4, "shapley": 1e-3}
"""Largest departure from plain PyTorch, as a part of the largest influence, or of 1 nat."""


@dataclass
class TrainedStudy(Part):
    """Influences of a study that trains its model itself."""

    world: World = field(kw_only=True)
    training: dict[str, Any] = field(kw_only=True)
    method: Method = field(kw_only=True)
    query_ids: list[str] = field(kw_only=True)
    again: bool = field(kw_only=True, default=False)
    """Whether a second study finds another frozen part, and the same folder."""
    estimator: str = field(kw_only=True, default="")
    paid: bool = field(kw_only=True, default=False)
    """Whether the influences are also valued and paid by."""
    also: str = field(kw_only=True, default="")
    """What is wrong with one more task, which must be refused."""

    def check(self, folder: Path) -> None:
        """Compare with plain PyTorch; again with another frozen part in the same folder; and spoil the task."""
        for base in (0.0, 0.3) if self.again else (0.0,):
            self.world.base[0] = base
            self._compare(folder)
        if self.also:
            wrong = tribute.Study(
                spoiled(self.world.task, self.also), self.world.by_source, training=self._settings
            )
            try:
                wrong.train()
            except tribute.TributeError:
                return
            raise Wrong(f"accepted, but it has a fault: {self.also}")

    @property
    def _settings(self) -> tribute.TrainingSettings:
        return tribute.TrainingSettings(**self.training)

    def _compare(self, folder: Path) -> None:
        settings, simulation = self._settings, tribute.SimulationSettings(**self.method.simulation)
        study = self.world.study(folder, training=settings, simulation=simulation)
        with learned(self, lambda: _losses(self.world, settings), 1e-4):
            study.train()
        method = "ekfak" if self.fault == "an unknown method" else None
        found = study.attribute(self.world.queries, method, ids=self.query_ids)
        require(list(found.source_ids) == self.world.ids, f"sources {found.source_ids}, not {self.world.ids}")
        require(list(found.query_ids) == [*map(canonical, self.query_ids)], f"queries {found.query_ids}")
        for replicate in range(settings.replicates):
            double = self.method.figure == "derivative"
            plain = plain_training(self.world, settings, replicate, double=double)
            expected_QS = exact_influence(self.world, self.method, plain)
            what = f"{self.method.figure} of replicate {replicate}, nats"
            require_close(found.influence_RQS[replicate], expected_QS, CLOSE[self.method.figure], what)
            if replicate == 0 and not double:
                measured_Q = plain.measured(plain.model({}), self.world.queries)
                require_close(found.measurement_Q, measured_Q, 2e-4, "measurements, nats")
        chance = Chance(len(self.query_ids), settings.seed)
        if self.estimator:
            check_estimate(study, self.world, plain_training(self.world, settings, 0), self.estimator)
        if self.paid:
            check_payout(study, found, chance)


@contextmanager
def learned(part: Part, losses: Callable[[], Iterable[tuple[float, float]]], gain: float) -> Iterator[None]:
    """A training may be refused for what it learned only if a loss really fell by no more than a part of itself.

    Args:
        losses: before and after each training, as plain PyTorch finds them.
    """
    try:
        yield
    except tribute.TributeError as error:
        if not any(words in str(error) for words in ("diverged", "learned nothing", "does not know the corpus")):
            raise
        if not part.fault:
            found = list(losses())
            slack = 1e-3 * max(abs(before) for before, _ in found)
            require(
                any(before - after < gain * abs(before) + slack for before, after in found), f"{error}: {found}"
            )
            part.fault = "a model that learned nothing"
        raise


def _losses(world: World, settings: tribute.TrainingSettings) -> Iterator[tuple[float, float]]:
    for replicate in range(settings.replicates):
        plain = plain_training(world, settings, replicate)
        yield plain.loss(plain.fresh()), plain.loss(plain.model({}))


def drawn_trained(chance: Chance, faulty: bool) -> TrainedStudy:
    """A study, whose task, data, ids or settings may be at fault."""
    fault = drawn_fault(chance) if faulty else ""
    world = drawn_world(chance, fault, FROZEN if chance.happens(0.2) else tuple(MODELS))
    examples = sum(len(columns["labels"]) for columns in world.by_source.values())
    training, method = drawn_training(chance, max(examples, 1)), drawn_method(chance, world)
    if fault == "a batch above the corpus":
        training |= {"batch_size": examples + 1, "accumulation": 1}
    queries = drawn_ids(chance, len(world.queries["labels"]))
    kinds = [*world.kinds, f"optimizer: {training['optimizer']}", f"figure: {method.figure}"]
    again = not fault and world.model in FROZEN
    also = "" if fault else wrong_function(chance)
    kinds += [f"refused too: {also}"] if also else []
    estimator = chance.of(OF_ALL) if not fault and chance.happens(0.3) else ""
    kinds += [f"estimator: {estimator}"] if estimator else []
    return TrainedStudy(
        kinds,
        fault,
        world=world,
        training=training,
        method=method,
        query_ids=queries,
        again=again,
        also=also,
        estimator=estimator,
        paid=not fault and chance.happens(0.25),
    )
