"""The column `target` of rows of text: a task must predict the tokens that it names, and no others.

Legend: n rows, T positions of a row.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tribute.tasks.contract.examples import TaskExamples
from tribute.tasks.contract.function import Function, Pieces
from tribute.tasks.task import Batch

COLUMN = "target"


def check_targets(function: Function, pieces: Pieces, rows: TaskExamples) -> list[str]:
    """Problem of a function that does not heed the column `target`; nothing without that column."""
    if COLUMN not in rows.columns or heeds_targets(lambda batch: function.values(pieces, batch), rows.batch):
        return []
    return [
        f"{function.name} is the same whichever tokens the column {COLUMN!r} names, so prompts would count like "
        f"answers. Count a token only where batch[{COLUMN!r}] is true"
    ]


def heeds_targets(measured: Callable[[Batch], Tensor], batch: Batch) -> bool:
    """Whether values change with the column `target`, in rows that have two predicted tokens or more.

    The last target of each row is taken away. Without such rows, nothing is known, and the answer is yes.
    """
    target_nT = batch[COLUMN].bool()
    chosen_n = target_nT.sum(1) > 1
    if not chosen_n.any():
        return True
    some = {name: values[chosen_n] for name, values in batch.items()}
    target_nT = some[COLUMN].bool()
    last_n = target_nT.shape[1] - 1 - target_nT.int().flip(1).argmax(1)
    fewer_nT = target_nT.clone()
    fewer_nT[torch.arange(len(last_n)), last_n] = False
    return not torch.equal(measured(some), measured({**some, COLUMN: fewer_nT}))
