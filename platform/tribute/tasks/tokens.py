"""Measurements of the positions of a row, for tasks that have them.

Legend: Q query rows, T positions of a row.
"""

from collections.abc import Mapping

from torch import Tensor

from tribute.errors import ConfigError
from tribute.tasks.flat import FlatTask
from tribute.tasks.modes import values_only
from tribute.tasks.task import Batch, Model


def has_tokens(task: object) -> bool:
    """Whether a task measures positions: it has `token_measurement`."""
    return callable(getattr(task, "token_measurement", None))


def token_measurements(task: FlatTask, pieces: Mapping[str, Tensor], queries: Batch) -> Tensor:
    """Measurement of each position of each query row, [Q, T], by `measure_tokens`, at named parameters, nats."""
    return measure_tokens(task, task.measured_model(pieces), queries)


def measure_tokens(task: FlatTask, model: Model, queries: Batch) -> Tensor:
    """Measurement of each position of each query row by a model, [Q, T], nats.

    Raises:
        ConfigError: the task has no `token_measurement`, or it does not return [Q, T].
    """
    own = task.task
    if not has_tokens(own):
        raise ConfigError(
            f"Task {type(own).__name__} has no token_measurement, so influences cannot be divided among the "
            "tokens of a query. Ask without per_token, or write token_measurement(model, queries), [Q, T] nats, "
            "whose sum over T is the measurement: see tribute.Task"
        )
    rows = len(next(iter(queries.values())))
    with values_only():
        measured_QT = own.token_measurement(model, queries)  # type: ignore[attr-defined]
    if measured_QT.dim() != 2 or len(measured_QT) != rows:
        raise ConfigError(
            f"The task's token_measurement returns shape {tuple(measured_QT.shape)} for {rows} queries, expected "
            f"({rows}, T). Return one number for each position of each query"
        )
    return measured_QT
