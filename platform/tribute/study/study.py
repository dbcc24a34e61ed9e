"""The front door: from a task and examples by source to values, shares and amounts.

Legend: R replicates, Q queries, U units, S sources, N spot (really left out) sources.
"""

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tribute.config import (
    CalibrationSettings,
    ReadoutSettings,
    SimulationSettings,
    TrainingSettings,
    ValuationSettings,
)
from tribute.errors import ConfigError, SimulationError
from tribute.readout import QueryRows
from tribute.simulation import Replicate, design_of, drawn_units
from tribute.study.attribution import Attribution
from tribute.study.calibration import calibrated
from tribute.study.examples import query_table, token_counts, training_set
from tribute.study.methods import chosen_settings
from tribute.study.runs import Runs, digest, replicate_of
from tribute.study.training import TrainingReport
from tribute.study.values import Values
from tribute.study.workers import InProcess, Workers
from tribute.tasks import Task
from tribute.training import Recipe


class Study:
    """A model, its sources, and what each source was worth.

    Everything runs in this process, on one thread. Without `folder` working files are temporary and deleted with
    the study; with it, whatever was computed from the same task, examples and settings is found again.

    Args:
        task: how to build the model, what it is trained on and what is measured: see `tribute.Task`.
        by_source: source id to examples: columns by name, each [N, ...] with N examples of the source; arrays,
            tensors, a `datasets.Dataset` or a data frame.
        tokens: source id to its size; by default the size of the column `tokens`, else the number of examples.
        replicates: how many seeds to train under; by default `training.replicates`.

    Raises:
        ConfigError: the task lacks a function.
        CorpusError: the examples cannot be used; names the source and the column.

    >>> study = tribute.Study(task, by_source, training=training, replicates=2)
    >>> study.train().steps
    12
    >>> influence = study.attribute(queries)
    >>> values = study.value(influence)
    >>> payout = values.shares().allocate("10000.00 EUR")
    >>> sum(payout.minor.values())
    1000000
    """

    def __init__(
        self,
        task: Task,
        by_source: Mapping[str, Any],
        *,
        training: TrainingSettings | None = None,
        simulation: SimulationSettings | None = None,
        calibration: CalibrationSettings | None = None,
        valuation: ValuationSettings | None = None,
        readout: ReadoutSettings | None = None,
        replicates: int | None = None,
        tokens: Mapping[str, int] | None = None,
        folder: str | Path | None = None,
        device: str = "cpu",
    ) -> None:
        _check_task(task)
        self.task, self.data = task, training_set(by_source)
        self.tokens = token_counts(self.data, tokens)
        self.training = _with_replicates(training or TrainingSettings(), replicates)
        self.simulation = simulation or SimulationSettings()
        self.calibration = calibration or CalibrationSettings()
        self.valuation, self.readout = valuation or ValuationSettings(), readout or ReadoutSettings()
        self.device = torch.device(device)
        self._temporary = TemporaryDirectory(prefix="tribute-") if folder is None else None
        self._root = Path(self._temporary.name if self._temporary else folder or "")
        self._workers: Workers = InProcess()
        self._replicates: list[Replicate] | None = None

    @property
    def source_ids(self) -> tuple[str, ...]:
        """The sources, sorted; examples are held in this order."""
        return self.data.source_ids

    @cached_property
    def runs(self) -> Runs:
        """What is run for this study, in a folder of its own."""
        recipe = Recipe(self.task, self.training, self.data, self.training.seed, self.device)
        return Runs(recipe, self._root / f"study-{self._digest(recipe)}", self._workers)

    def train(self) -> TrainingReport:
        """Train every replicate and record its trajectory; what is there already is not trained again.

        Raises:
            ConfigError: the task does not fit the examples.
            SimulationError: the parameters left the finite numbers.
        """
        seeds = [self.training.seed + replicate for replicate in range(self.training.replicates)]
        rows = self.runs.train(seeds)
        self._replicates = [replicate_of(row) for row in rows]
        return TrainingReport(tuple(rows))

    def attribute(
        self,
        queries: Any,
        method: str | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        weights: Sequence[float] | None = None,
    ) -> Attribution:
        """Influence of every source on every query.

        Args:
            queries: columns by name, each [Q, ...], as the task's measurement takes them.
            method: `paired`, `tangent` or an estimator such as `ekfac` or `trak`; by default `simulation.mode`.
            options: of an estimator.
            ids: query ids, [Q]; by default positions.
            weights: how often each query was asked, [Q]; by default once.

        Raises:
            SimulationError: the study is not trained yet.
            ConfigError: there is no such method, or it does not suit the task or the sources.
            CorpusError: the queries cannot be used.
        """
        settings = chosen_settings(self.simulation, method, options)
        replicates = self.replicates
        table = query_table(queries, self.data, ids, weights)
        if not settings.estimated and settings.notion == "leave_one_out" and len(self.tokens) > settings.groups:
            raise ConfigError(
                f"{settings.mode} would simulate each of {len(self.tokens)} sources. If that is meant, raise "
                f"simulation.groups ({settings.groups}) to {len(self.tokens)}; else take an estimator such as trak"
            )
        units = drawn_units(settings, self.source_ids, self.training.seed)
        found = self.runs.simulate(replicates, settings, units)
        rows = QueryRows.of(table)
        influence_RQU, measured_Q = self.runs.influence(replicates, settings, found, rows, self.readout)
        tokens_S = np.array(self.tokens, dtype=np.float64)
        design = design_of(
            settings.notion, [each.unit for each in found], tokens_S, [each.failed for each in found]
        )
        influence_RQS = np.stack([design.influence(nats_QU) for nats_QU in influence_RQU]).astype(np.float32)
        return Attribution(
            settings.mode,
            table.query_ids,
            self.source_ids,
            influence_RQS,
            measured_Q,
            table,
            settings,
            tuple(found),
            influence_RQU,
        )

    def value(self, attribution: Attribution, precision: float | None = None) -> Values:
        """Value of every source over the attributed queries, calibrated to real retraining without a few of them.

        Args:
            attribution: of this study.
            precision: how wide intervals may be: half of each, as a part of the sum of all values. The number of
                really left out sources is doubled until they are, or until every source was left out. By default
                `calibration.spot_sources` are.

        Raises:
            ConfigError: the precision is no part of 1, or the attribution is of another study.
        """
        if precision is not None and not 0 < precision < 1:
            raise ConfigError(f"precision is {precision}. Give a part of 1, such as 0.05")
        if attribution.source_ids != self.source_ids:
            raise ConfigError(
                f"The attribution is of sources {', '.join(attribution.source_ids)}, the study of "
                f"{', '.join(self.source_ids)}. Value it with the study that made it"
            )
        return calibrated(self, attribution, precision)

    @property
    def replicates(self) -> list[Replicate]:
        """The trained replicates.

        Raises:
            SimulationError: the study is not trained yet.
        """
        if self._replicates is None:
            raise SimulationError("The study is not trained yet. Call study.train() first")
        return self._replicates

    def _digest(self, recipe: Recipe) -> str:
        columns = [
            [n, str(v.dtype), v.shape, digest(v.tobytes().hex())] for n, v in sorted(self.data.columns.items())
        ]
        theta_P = recipe.task.initial(0)
        model = [[name, tuple(shape)] for name, shape in recipe.task.shapes.items()]
        held = [self.source_ids, np.bincount(self.data.source_N).tolist(), columns]
        return digest(held, model, digest(theta_P.numpy().tobytes().hex()), _code(self.task), self._settings())

    def _settings(self) -> str:
        return self.training.model_copy(update={"replicates": 1, "seed": 0}).fingerprint()


def _code(task: Task) -> list[str]:
    """What tells one task from another: its class, its fields and, where it can be read, its source text."""
    kind = type(task)
    try:
        text = inspect.getsource(kind)
    except (OSError, TypeError):
        text = ""
    return [
        kind.__module__,
        kind.__qualname__,
        text,
        repr(sorted(vars(task).items())) if hasattr(task, "__dict__") else "",
    ]


def _check_task(task: object) -> None:
    lacking = [
        name for name in ("build", "training_loss", "measurement") if not callable(getattr(task, name, None))
    ]
    if isinstance(task, type):
        raise ConfigError(f"task is the class {task.__name__}. Give an instance of it: {task.__name__}()")
    if lacking:
        raise ConfigError(
            f"task is a {type(task).__name__} without {', '.join(lacking)}. Write the functions build(), "
            "training_loss(model, batch) and measurement(model, queries): see tribute.Task"
        )


def _with_replicates(training: TrainingSettings, replicates: int | None) -> TrainingSettings:
    if replicates is None:
        return training
    if replicates < 1:
        raise ConfigError(f"replicates is {replicates}. Train under at least one seed")
    return training.model_copy(update={"replicates": replicates})
