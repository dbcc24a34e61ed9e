"""The contract check of a task: on a few of its examples, and by a rehearsal of what will be run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.config import ReadoutSettings, SimulationSettings, TaskSettings, TrainingSettings
from tribute.corpus import QueryTable, column_queries
from tribute.errors import ConfigError, SimulationError, TributeError
from tribute.estimators import Trained, build_estimator
from tribute.ids import short
from tribute.readout import QueryRows
from tribute.simulation import Replicate, leave_one_out_units
from tribute.study.examples import query_table, sources_of, training_set
from tribute.study.runs import Runs
from tribute.study.table import Result, Row
from tribute.study.workers import InProcess, one_thread
from tribute.tasks import Scope, Task, build_task
from tribute.tasks.contract import TaskExamples, TaskFinding, check_contract, chosen_rows, refuse
from tribute.training import Recipe, TrainingSet, record

REHEARSED = 4
"""Examples of a batch, and of each source, of a rehearsal."""
SOURCES = 3
"""Sources of a rehearsal."""
SHORT_STEP = 1e-3
"""Largest learning rate of a rehearsal, in which a few examples must not diverge."""
MOST = 300
"""Characters shown of an error of PyTorch."""
READOUT = ReadoutSettings()
Columns = Mapping[str, NDArray]


@dataclass(frozen=True, repr=False)
class TaskReport(Result):
    """What `check_task` found. Printing lists it; `refuse` raises what is refused.

    Args:
        task: its name.
        findings: each with its subject, whether it is refused, and a text with the remedy.
        coverage: of each method that treats some parameters in another way than the rest, which.

    >>> report = tribute.check_task(task, by_source, queries)
    >>> report.fine, len(report.findings)
    (True, 0)
    """

    task: str
    findings: tuple[TaskFinding, ...]
    coverage: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether nothing is refused."""
        return not any(finding.refused for finding in self.findings)

    @property
    def title(self) -> str:
        """The verdict."""
        if not self.findings:
            return "; ".join([f"Task {self.task} keeps the contract", *self.coverage])
        verdict = "can be valued" if self.fine else "cannot be valued as it stands"
        return "; ".join([f"Task {self.task} {verdict}: {len(self.findings)} finding(s)", *self.coverage])

    def rows(self) -> list[Row]:
        """A row per finding."""
        return [
            {"subject": each.subject, "verdict": "refused" if each.refused else "noted", "finding": each.text}
            for each in self.findings
        ]

    def refuse(self) -> None:
        """Raise all that is refused as one error.

        Raises:
            ConfigError: names each thing and its remedy.
        """
        refuse(self.findings, self.task)


def check_task(
    task: Task,
    by_source: Mapping[str, Any],
    queries: Any = None,
    *,
    training: TrainingSettings | None = None,
    simulation: SimulationSettings | None = None,
) -> TaskReport:
    """Check a task on a few real examples, in seconds, before anything is trained.

    It looks at shapes, types, finite values and derivatives of loss and measurement, at examples that change each
    other's loss, at results that differ between calls or processes, at parameters that no gradient reaches, at ids
    and labels out of range, and at parts of a measurement that do not add up to it. Then it rehearses the
    training, the simulation and the read-out on a few examples.

    Shapes: by_source and queries are columns by name, [N, ...] and [Q, ...] each.

    Args:
        by_source: source id to columns, as `Study` takes them.
        queries: columns for the measurement; without them it is checked on examples.
        simulation: the method to rehearse; by default paired simulation.

    Raises:
        ConfigError: the object is no task.
        CorpusError: the examples cannot be used; names the source and the column.

    >>> tribute.check_task(task, by_source, queries).fine
    True
    >>> class OneNumber(tribute.Classifier):
    ...     def training_loss(self, model, batch):
    ...         return super().training_loss(model, batch).mean()
    >>> [finding.subject for finding in tribute.check_task(OneNumber(features=64), by_source).findings]
    ['training_loss']
    """
    require_task(task)
    data = training_set(by_source)
    table = None if queries is None else query_table(queries, data, None, None)
    settings = training or TrainingSettings(), [simulation or SimulationSettings()]
    return checked(task, sources_of(data), *settings, None if table is None else query_examples(table))


def query_examples(table: QueryTable) -> TaskExamples:
    """A few queries of a table, for the measurement."""
    rows = chosen_rows(table.rows)
    ids = tuple(table.query_ids[query] for query in table.row_query[rows])
    return TaskExamples({name: values[rows] for name, values in table.rows.items()}, ids, tuple(rows), "query")


def checked(
    task: Task | TaskSettings,
    sources: Iterable[tuple[str, Columns]],
    training: TrainingSettings,
    simulations: Sequence[SimulationSettings],
    queries: TaskExamples | None = None,
    readout: ReadoutSettings = READOUT,
    *,
    other_process: bool = True,
) -> TaskReport:
    """Check a task of a study or a project on the given sources; see `check_task`.

    Args:
        readout: how simulations are read out.
        other_process: also build the model in another process, unless the task is a built-in one.
    """
    try:
        own = build_task(task).task
    except ConfigError as error:
        return TaskReport(_title(task), (TaskFinding("build", True, str(error)),))
    examples, covered = _examples(sources), list[str]()
    with one_thread():
        findings = check_contract(
            own,
            examples,
            queries,
            precision=training.precision,
            weight_decay=training.weight_decay,
            other_process=other_process and not type(own).__module__.startswith("tribute."),
        )
        if not any(finding.refused for finding in findings):
            more, covered = _rehearsed(own, examples, queries or examples, training, simulations, readout)
            findings += more
    return TaskReport(_title(task), tuple(findings), tuple(covered))


def require_task(task: object) -> None:
    """Check that an object is a task.

    Raises:
        ConfigError: names the functions that it lacks.
    """
    if isinstance(task, type):
        raise ConfigError(f"task is the class {task.__name__}. Give an instance of it: {task.__name__}()")
    needed = ("build", "training_loss", "measurement")
    lacking = [name for name in needed if not callable(getattr(task, name, None))]
    if lacking:
        raise ConfigError(
            f"task is a {type(task).__name__} without {', '.join(lacking)}. Write the functions build(), "
            "training_loss(model, batch) and measurement(model, queries): see tribute.Task"
        )


def _title(task: Task | TaskSettings) -> str:
    if isinstance(task, TaskSettings):
        return f"{task.name} with options {task.options}"
    return short(repr(task)) if is_dataclass(task) else type(task).__name__


def _examples(sources: Iterable[tuple[str, Columns]]) -> TaskExamples:
    parts, names, rows = [], [], []
    for source_id, columns in sources:
        chosen = chosen_rows(columns)
        parts.append({name: values[chosen] for name, values in columns.items()})
        names += [source_id] * len(chosen)
        rows += chosen.tolist()
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    kept = chosen_rows(joined)
    return TaskExamples(
        {name: values[kept] for name, values in joined.items()},
        tuple(names[row] for row in kept),
        tuple(rows[row] for row in kept),
    )


def _rehearsed(
    task: Task,
    examples: TaskExamples,
    queries: TaskExamples,
    training: TrainingSettings,
    simulations: Sequence[SimulationSettings],
    readout: ReadoutSettings,
) -> tuple[list[TaskFinding], list[str]]:
    """What fails in a training of two steps, its simulations and read-outs; and the coverage of each method."""
    data, rows = _small(examples), {name: values[:REHEARSED] for name, values in queries.columns.items()}
    table = QueryRows.of(column_queries([str(row) for row in range(len(next(iter(rows.values()))))], rows))
    findings, covered = list[TaskFinding](), list[str]()
    with TemporaryDirectory(prefix="tribute-") as folder:
        recipe = Recipe(task, _short(training, len(data)), data, training.seed)
        runs = Runs(recipe, Path(folder), InProcess())
        try:
            trajectory = record(recipe, Path(folder) / "trained")
            end = recipe.steps
            replicates = [Replicate(0, training.seed, end, trajectory, trajectory.sha256(end))]
        except SimulationError:
            return [], []  # a few examples diverge; that does not say that the training will
        except Exception as error:  # whatever PyTorch raises
            return [TaskFinding("training", True, _failure("training", error))], []
        for settings in simulations:
            brief = settings.model_copy(update={"horizon": 1.0, "steps": 2, "notion": "leave_one_out"})
            try:
                found = runs.simulate(replicates, brief, leave_one_out_units(data.source_ids))
                runs.influence(replicates, brief, found, table, readout)
                covered += filter(None, [_coverage(brief, recipe, replicates[0])])
            except SimulationError as error:
                if error.__cause__ is not None:  # an estimator failed
                    findings.append(TaskFinding(settings.mode, True, _failure(settings.mode, error.__cause__)))
            except Exception as error:  # whatever PyTorch raises
                findings.append(TaskFinding(settings.mode, True, _failure(settings.mode, error)))
    return findings, covered


def _small(examples: TaskExamples) -> TrainingSet:
    """A few of the examples, as those of a few sources."""
    parts = np.array_split(np.arange(min(len(examples), REHEARSED * SOURCES)), SOURCES)
    return TrainingSet.assemble(
        {
            f"source-{index}": {name: values[part] for name, values in examples.columns.items()}
            for index, part in enumerate(parts)
            if len(part)
        }
    )


def _short(training: TrainingSettings, examples: int) -> TrainingSettings:
    """Two short steps of a training, on batches that a few examples fill."""
    parts = min(training.accumulation, 2, examples)
    size = min(REHEARSED, examples) // parts * parts
    shorter = {"recordings": (), "checkpoint": None, "replicates": 1, "accumulation": parts, "batch_size": size}
    rate = min(training.learning_rate, SHORT_STEP)
    return training.model_copy(update=shorter | {"epochs": 2 * size / examples, "learning_rate": rate})


def _coverage(settings: SimulationSettings, recipe: Recipe, replicate: Replicate) -> str:
    if settings.estimated:
        trained = Trained(recipe, replicate.trajectory, replicate.steps)
        estimator = build_estimator(settings.mode, settings.options)
        return estimator.coverage(trained, estimator.fit(trained))
    covered = Scope(recipe.task, settings.scope).coverage
    return f"{settings.mode} with {covered}" if covered else ""


def _failure(method: str, error: BaseException) -> str:
    if isinstance(error, TributeError):
        return f"{method}: {str(error).removeprefix(f'{method}: ')}"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    problem = lines[0][:MOST].rstrip(".")
    if "forward AD" in problem or "forward mode AD" in problem:
        remedy = (
            "A layer of this model has no forward mode in PyTorch. Use mode paired, with readout.method auto, or "
            "another layer"
        )
    elif "saved tensor hooks" in problem:
        remedy = "Turn activation checkpointing off in the model: the numbers are the same without it"
    elif method == "training":
        remedy = "Leave out of the model and the loss what torch.func cannot differentiate"
    else:
        remedy = "Use mode paired, or another estimator" if method != "paired" else "Use another layer"
    return f"{method} cannot be computed for this model: {type(error).__name__}: {problem}. {remedy}"
