"""The rows of a training set as a Trainer takes them.

Legend: N examples, B rows of a batch, W tokens of a row.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tribute.errors import ConfigError
from tribute.training.training_set import TrainingSet

IGNORED = -100
"""Label of a token that is not predicted."""


class TrainerRows(Dataset[dict[str, list[int]]]):
    """The rows of a training set as a Trainer takes them: `input_ids`, `labels` and `attention_mask`.

    `Trainer(model, train_dataset=rows, data_collator=rows.collate, ...)`.

    Args:
        data: with the column `tokens`, [N, W] whole numbers with -1 for padding at the right, and optionally
            `target`, [N, W] bool: the tokens that are predicted; else all but the first are.

    Raises:
        ConfigError: the training set has no column `tokens`.
    """

    def __init__(self, data: TrainingSet) -> None:
        tokens_NW = data.columns.get("tokens")
        if tokens_NW is None or tokens_NW.ndim != 2:
            raise ConfigError(
                f"The training set has the columns {', '.join(data.columns)}, but a Trainer needs `tokens`, [N, "
                "W] whole numbers. Record other trainings with tribute.training.Recorder"
            )
        self.data, self._tokens_NW, self._target_NW = data, tokens_NW, data.columns.get("target")

    def __len__(self) -> int:
        return len(self.data)

    def row(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Tokens of an example without padding, and which of them are predicted; the first never is."""
        present = self._tokens_NW[index] >= 0
        tokens = self._tokens_NW[index][present].astype(np.int64)
        target = np.ones(len(tokens), bool)
        if self._target_NW is not None:
            target = self._target_NW[index][present].astype(bool)
        target[:1] = False
        return tokens, target

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        tokens, target = self.row(index)
        labels = np.where(target, tokens, IGNORED)
        mask = np.ones_like(tokens)
        return {"input_ids": tokens.tolist(), "labels": labels.tolist(), "attention_mask": mask.tolist()}

    @staticmethod
    def collate(rows: Sequence[Mapping[str, list[int]]]) -> dict[str, Tensor]:
        """Rows as a batch, [B, W] each, padded at the right to the longest."""
        fills = {"input_ids": 0, "labels": IGNORED, "attention_mask": 0}
        width = max(len(row["input_ids"]) for row in rows)
        return {
            name: torch.tensor([[*row[name], *[fill] * (width - len(row[name]))] for row in rows])
            for name, fill in fills.items()
        }
