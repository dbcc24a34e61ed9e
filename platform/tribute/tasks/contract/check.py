"""All checks of a task on a few examples; each finds, names and says how to mend.

Legend: B examples, Q queries.
"""

import torch

from tribute.errors import ConfigError
from tribute.tasks.contract.build import OtherProcess, built_twice
from tribute.tasks.contract.examples import TaskExamples
from tribute.tasks.contract.finding import TaskFinding
from tribute.tasks.contract.function import (
    SEED,
    Function,
    Pieces,
    Wrong,
    loss_function,
    measurement_function,
)
from tribute.tasks.contract.ids import explained
from tribute.tasks.contract.independence import independent, repeated
from tribute.tasks.contract.parameters import Slopes, ignored, slopes, unreached
from tribute.tasks.contract.positions import check_tokens
from tribute.tasks.contract.targets import check_targets
from tribute.tasks.flat import FlatTask
from tribute.tasks.frozen import under_seed
from tribute.tasks.task import Task

ROWS = 3
"""Rows of the first batch; a second one of a single row tells a dimension of this size from the batch."""


def check_contract(
    task: Task,
    examples: TaskExamples,
    queries: TaskExamples | None = None,
    *,
    precision: str = "float32",
    weight_decay: float = 0.0,
    other_process: bool = True,
) -> list[TaskFinding]:
    """Check a task on some examples, at initial parameters, on the CPU.

    Args:
        queries: rows for the measurement; without them, the examples, if they have its columns.
        other_process: also build the model in another process.
    """
    try:
        process = OtherProcess(task) if other_process else None
        with under_seed(SEED):
            flat = FlatTask(task, precision)
    except ConfigError as error:
        return [TaskFinding("build", True, str(error))]
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        return [TaskFinding("build", True, f"build fails: {type(error).__name__}: {error}. Correct the task")]
    findings = [TaskFinding("build", True, text) for text in built_twice(task)]
    with torch.enable_grad():
        pieces, loss = flat.pieces(flat.initial(SEED)), loss_function(flat)
        of_loss, trained = _checked(loss, pieces, examples)
        findings += of_loss
        of_measurement, measured = _measured(flat, pieces, queries or examples, optional=queries is None)
        findings += of_measurement
        if trained is not None:
            findings += unreached(trained, measured, weight_decay)
            findings += [TaskFinding("examples", True, text) for text in ignored(loss, flat, examples)]
    if process is not None:
        findings += [TaskFinding("build", True, text) for text in process.differing() if not findings]
    return findings


def check_measurement(flat: FlatTask, queries: TaskExamples) -> list[TaskFinding]:
    """Check the measurement alone, on some queries."""
    return _measured(flat, flat.pieces(flat.initial(SEED)), queries, optional=False)[0]


def _measured(
    flat: FlatTask, pieces: Pieces, queries: TaskExamples, *, optional: bool
) -> tuple[list[TaskFinding], Slopes | None]:
    function = measurement_function(flat)
    if optional:
        try:
            function.of(pieces, queries.take([0]))
        except KeyError:
            return [], None
        except Exception:  # found again below, and explained
            pass
    findings, reached = _checked(function, pieces, queries)
    return findings or check_tokens(flat, pieces, queries), reached


def _checked(function: Function, pieces: Pieces, rows: TaskExamples) -> tuple[list[TaskFinding], Slopes | None]:
    """Findings of a function, and its gradients where it has any."""
    still, reached = _still(function), None
    try:
        with torch.no_grad():
            function.values(pieces, rows.take([index % len(rows) for index in range(ROWS)]))
            _finite(function, pieces, rows)
        reached = slopes(function, pieces, rows)
        for check in (
            lambda: check_targets(function, pieces, rows),
            lambda: repeated(function, pieces, rows),
            lambda: independent(function, still, pieces, rows),
        ):
            with torch.no_grad():
                found = [TaskFinding(function.name, True, text) for text in check()]
            if found:
                return found, reached
        with torch.no_grad():
            function.values(pieces, rows.take([0]))
    except Wrong as wrong:
        return [TaskFinding(function.name, True, str(wrong))], reached
    except Exception as error:  # whatever the user's code raises
        return [TaskFinding(function.name, True, explained(function, pieces, rows, error))], reached
    return [], reached


def _finite(function: Function, pieces: Pieces, rows: TaskExamples) -> None:
    values = function.values(pieces, rows.batch)
    wild = (~torch.isfinite(values)).nonzero().flatten().tolist()
    if wild:
        raise Wrong(
            f"{function.name} is {float(values[wild[0]]):g} for {rows.name(wild[0])} at the initial parameters. "
            "Look for a logarithm, a division or a square root at 0, or for extreme values in the columns"
        )


def _still(function: Function) -> Function:
    if function.name == "measurement":
        return function
    return Function(function.name, function.task, function.task.evaluated.losses_at)
