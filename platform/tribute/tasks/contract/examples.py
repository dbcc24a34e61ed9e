"""A few examples of a training set that show what may be wrong with it.

Legend: N examples of a source, n chosen ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.ids import excerpt
from tribute.tasks.task import Batch

MAX_DISTINCT = 64
"""Largest number of values of a column of whole numbers of which each is tried, such as labels."""
EVENLY = 3
"""Further examples of a source, evenly spaced."""


def chosen_rows(columns: Mapping[str, NDArray]) -> NDArray[np.int64]:
    """Rows that hold the smallest and largest value of a column or each distinct label, and evenly spaced ones."""
    count = len(next(iter(columns.values())))
    rows = [*np.linspace(0, count - 1, EVENLY).round().astype(int)]
    for values in columns.values():
        if not values.size or values.dtype.kind not in "biuf":
            continue
        rows += [index // (values.size // count) for index in (int(values.argmin()), int(values.argmax()))]
        if values.ndim == 1 and values.dtype.kind in "biu":
            distinct, first = np.unique(values, return_index=True)
            rows += first.tolist() if len(distinct) <= MAX_DISTINCT else []
    return np.unique(np.array(rows, dtype=np.int64))


@dataclass(frozen=True)
class TaskExamples:
    """Chosen examples: columns, [n, ...] each, and the source (or query) and the row in it of each, [n]."""

    columns: Mapping[str, NDArray]
    sources: tuple[str, ...]
    rows: tuple[int, ...]
    kind: str = "source"

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def batch(self) -> dict[str, Tensor]:
        """All of them as one batch."""
        return {name: torch.from_numpy(np.array(values)) for name, values in self.columns.items()}

    def take(self, chosen: list[int]) -> Batch:
        """A batch of some of them, by position."""
        return {name: values[chosen] for name, values in self.batch.items()}

    def name(self, position: int) -> str:
        """How messages call one of them."""
        if self.kind == "query":
            return f"query {excerpt(self.sources[position])}"
        return f"source {excerpt(self.sources[position])}, row {self.rows[position]}"

    @cached_property
    def distinct(self) -> list[int]:
        """Positions of examples that all differ from one another."""
        seen: dict[bytes, int] = {}
        for position in range(len(self)):
            content = b"".join(
                np.ascontiguousarray(values[position]).tobytes() for values in self.columns.values()
            )
            seen.setdefault(content, position)
        return list(seen.values())

    @property
    def shapes(self) -> str:
        """Shape and type of an example's columns, for messages."""
        return ", ".join(
            f"{name} {list(values.shape[1:])} {values.dtype}" for name, values in sorted(self.columns.items())
        )
