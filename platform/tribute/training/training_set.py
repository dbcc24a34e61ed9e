"""The training examples of all sources, in memory or mapped from files, handed out as batches with their sources.

Legend: N examples, B of a batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.config.corpus import CorpusSettings
from tribute.corpus import Column, Part, map_part, open_part, read_corpus

PADDING = {"tokens": -1, "target": 0}
"""Columns of rows of tokens, and what pads them."""


@dataclass(frozen=True)
class TrainingSet:
    """Columns of examples, [N, ...] each, and the index in `source_ids` of every example's source, [N].

    The set of a snapshot is pickled as the path of its `folder`: processes of a machine map the same files.
    """

    source_ids: tuple[str, ...]
    source_N: NDArray[np.int64]
    columns: Mapping[str, Column]
    folder: Path | None = field(default=None, init=False, compare=False)
    """None too where columns of a snapshot were replaced."""

    @classmethod
    def assemble(cls, by_source: Mapping[str, Mapping[str, NDArray]]) -> "TrainingSet":
        """Join the columns of the sources, in the order of their ids whatever the order of the mapping."""
        source_ids = tuple(sorted(by_source))
        counts = [len(next(iter(by_source[source_id].values()))) for source_id in source_ids]
        names = sorted(by_source[source_ids[0]])
        columns = {name: np.concatenate([by_source[s][name] for s in source_ids]) for name in names}
        return cls(source_ids, np.repeat(np.arange(len(source_ids)), counts), columns)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.folder is not None:
            return mapped_training_set, (self.folder,)
        columns = {name: np.asarray(each) for name, each in self.columns.items()}
        return TrainingSet, (self.source_ids, self.source_N, columns)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of examples of every source, [S]."""
        return np.bincount(self.source_N, minlength=len(self.source_ids))

    def __len__(self) -> int:
        return len(self.source_N)

    def batch(
        self, indices_B: NDArray[np.int64], device: torch.device, width: int | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Columns of the chosen examples, and the source index of each, [B].

        Args:
            width: number of tokens to which rows are cut or padded, and one more of padding: a model that sees all
                tokens but the last of a row then sees `width`.
        """
        chosen = {name: values[indices_B] for name, values in self.columns.items()}
        if width is not None:
            chosen |= {name: _fitted(chosen[name], width + 1, f) for name, f in PADDING.items() if name in chosen}
        columns = {name: torch.from_numpy(values).to(device) for name, values in chosen.items()}
        return columns, torch.from_numpy(self.source_N[indices_B]).to(device)


def _fitted(values_BW: NDArray, width: int, fill: int) -> NDArray:
    """Rows of another width, cut or padded at the right."""
    kept_BW = values_BW[:, :width]
    return np.pad(kept_BW, ((0, 0), (0, width - kept_BW.shape[1])), constant_values=fill)


def snapshot_training_set(folder: Path) -> TrainingSet:
    """The examples of a corpus snapshot, whose files are compared with their SHA-256.

    Raises:
        CorpusError: there is no snapshot.
        DamagedFile: a file is missing, or is not what was written.
    """
    return _of(open_part(folder, "train"), folder)


def mapped_training_set(folder: Path) -> TrainingSet:
    """The examples of a corpus snapshot whose files were compared before; raises what `corpus.map_part` does."""
    return _of(map_part(folder, "train"), folder)


def _of(part: Part, folder: Path) -> TrainingSet:
    source_N = np.repeat(np.arange(len(part.source_ids)), np.diff(part.first_S))
    found = TrainingSet(part.source_ids, source_N, part.columns)
    object.__setattr__(found, "folder", folder)  # frozen for everybody else
    return found


def training_set(corpus: CorpusSettings) -> TrainingSet:
    """The examples of a corpus, to draw batches from by index in your own training loop (see `Recorder`).

    Needs neither Ray nor the working folder. If the corpus changes before `tribute train`, the replay of the loop
    drifts from its recording, and that is reported.

    Raises:
        CorpusError: the corpus cannot be read as its settings say.
    """
    sources = read_corpus(corpus).sources
    return TrainingSet.assemble({each.source.source_id: each.train for each in sources})
