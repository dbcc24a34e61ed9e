"""The optional `token_measurement` of a task: it must divide each row's measurement among its positions.

Legend: Q query rows, T positions of a row.
"""

import torch

from tribute.errors import ConfigError
from tribute.tasks.contract.examples import TaskExamples
from tribute.tasks.contract.finding import TaskFinding
from tribute.tasks.contract.function import Pieces
from tribute.tasks.flat import FlatTask
from tribute.tasks.tokens import has_tokens, token_measurements

NAME = "token_measurement"
TOLERANCE = 1e-4
"""Largest difference between sum and measurement, as a part of what was added up."""


def check_tokens(flat: FlatTask, pieces: Pieces, queries: TaskExamples) -> list[TaskFinding]:
    """Check that measurements of positions are [Q, T] and add up to those of rows; nothing for a task without."""
    if not has_tokens(flat.task):
        return []
    batch = queries.batch
    try:
        with torch.no_grad():
            by_token_QT = token_measurements(flat, pieces, batch)
            measured_Q = flat.measure_at(pieces, batch)
    except ConfigError as error:
        return [TaskFinding(NAME, True, str(error))]
    except Exception as error:  # whatever the user's code raises
        text = f"{NAME} fails: {type(error).__name__}: {error}. Correct it, or leave it out: it is optional"
        return [TaskFinding(NAME, True, text)]
    apart_Q = (by_token_QT.sum(1) - measured_Q).abs()
    wrong_Q = ~(apart_Q <= TOLERANCE * by_token_QT.abs().sum(1).clamp(min=1))
    if not wrong_Q.any():
        return []
    row = int(wrong_Q.nonzero()[0])
    text = (
        f"{NAME} sums to {float(by_token_QT[row].sum()):g} for {queries.name(row)}, but its measurement is "
        f"{float(measured_Q[row]):g}. Return parts that add up to the measurement, and 0 of padding; or leave "
        "the function out: it is optional"
    )
    return [TaskFinding(NAME, True, text)]
