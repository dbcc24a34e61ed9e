"""The cut of a read-out: how many rows and sources are evaluated at once, by the memory budget and by the caches.

Legend: S sources.
"""

from typing import NamedTuple

import torch

from tribute.errors import ConfigError
from tribute.readout.perturbed import PerturbedModel, QueryRows, row_bytes

GIB = 2**30
MAX_ROWS = 256
ROW_BYTES = 2**24
"""Bytes of activations of all rows of one model; more do not fit a processor's caches and are slower."""
ENSEMBLE_BYTES = 2**25
"""Bytes of activations of an ensemble where its models could also run one after the other."""
SHARED_BYTES = 2**25
"""Bytes of activations of an ensemble that computes something once for all sources."""
KEPT_PART = 0.25
"""Part of the budget for passes of a divided model that are kept while some sources are read out; as much again
is for the head.
"""
SHARING_SOURCES = 16
"""Sources of such an ensemble, if the rows can be fewer."""


class Cut(NamedTuple):
    """Numbers of rows and sources that are evaluated at once, and of sources in the head of a divided model."""

    rows: int
    sources: int
    heads: int


class Cuts:
    """Cuts queries for one model, and remembers what a row costs by its shape.

    Each pair of row and source takes `copies` times the activations of a row. Each source also takes `copies`
    parameter vectors.

    Args:
        memory_gib: budget of parameters and activations evaluated at once.
        per_row: further bytes for each row, independent of the number of sources.
        shared: whether sources share work in an ensemble; then many sources count more than many rows.
    """

    def __init__(
        self,
        perturbed: PerturbedModel,
        memory_gib: float,
        *,
        per_row: int = 0,
        copies: int = 1,
        shared: bool = False,
    ) -> None:
        self._perturbed, self._memory_gib = perturbed, memory_gib
        self._per_row, self._copies, self._shared = per_row, copies, shared
        theta_p = perturbed.theta_p
        self._cached = theta_p.device.type == "cpu"
        self._vector = 2 * copies * theta_p.numel() * theta_p.element_size()  # source and unperturbed model
        self._activations = dict[object, int]()

    @property
    def kept(self) -> int:
        """Bytes for passes of a divided model that are kept."""
        return int(KEPT_PART * self._memory_gib * GIB)

    def cut(self, queries: QueryRows, pair: int | None = None) -> Cut:
        """As many rows (at most `MAX_ROWS`), then sources, as fit the memory budget and the caches.

        Args:
            pair: bytes of activations of a row and a source, where the rest of the model runs once for all
                sources; None: those of the whole model.

        Raises:
            ConfigError: one row and one source exceed the budget; says by how much.
        """
        plain, sources = self._row(queries), len(self._perturbed.response_Sp)
        budget = int(self._memory_gib * GIB) - (0 if pair is None else 2 * self.kept)
        pair, once = (plain, 0) if pair is None else (pair, plain)
        activations, once = self._copies * pair, once + self._per_row
        rows = min((budget - self._vector) // (2 * activations + once), MAX_ROWS)
        if rows < 1:
            needed = (2 * activations + once + self._vector) / GIB
            raise ConfigError(
                f"readout.memory_gib is {self._memory_gib:g}, but one query row and one source take {needed:.2g} "
                "GiB. Raise it"
            )
        rows = min(rows, max(1, len(queries.query_N)))
        if self._cached:
            rows = min(rows, max(1, min(ROW_BYTES // plain, self._cache_of_rows() // pair)))
        left = budget - rows * (activations + once) - self._vector // 2
        fitting = max(1, left // (rows * activations + self._vector // 2))
        if self._cached:
            fitting = min(fitting, max(1, self._cache_of_models() // (rows * pair)))
        chunks = -(-sources // fitting)
        return Cut(rows, max(1, -(-sources // max(1, chunks))), max(1, self.kept // (rows * plain)))

    def _cache_of_rows(self) -> int:
        if not self._shared:
            return ROW_BYTES
        return SHARED_BYTES // max(1, min(SHARING_SOURCES, len(self._perturbed.response_Sp)))

    def _cache_of_models(self) -> int:
        return SHARED_BYTES if self._shared else ENSEMBLE_BYTES

    def _row(self, queries: QueryRows) -> int:
        """Bytes of activations of one more row of these columns."""
        if queries.shape not in self._activations:
            with torch.no_grad():
                bytes_of_row = row_bytes(self._perturbed.task, self._perturbed.theta_p, queries)
            self._activations[queries.shape] = bytes_of_row
        return self._activations[queries.shape]
