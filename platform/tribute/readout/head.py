"""The head of live queries: predictions from a few numbers per use, which add up over uses.

Legend: n queries that the head is fitted to, d features, k coordinates of a use (the last is 1), R replicates,
U units, C columns (replicate x unit), S sources, Q queries.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from tribute.errors import ConfigError
from tribute.files.sealed import Remedy, require_sealed, write_sealed
from tribute.readout.distilled import MAX_FITTED_QUERIES
from tribute.readout.features import Passes
from tribute.readout.perturbed import QueryRows
from tribute.readout.ridge import Ridge

Array = NDArray[np.float64]
DROPPED = 0.1
"""What fewer coordinates may cost predictions, as a part of their own error: 1% of its square."""
FIT_AGAIN = Remedy("Remove it, and start the service again: it fits a new head")


class UnitSums(Protocol):
    """How influences of units add up to those of sources; see `Design`."""

    def influence(
        self, influence_QU: NDArray[np.floating], columns: Sequence[int] | None = None
    ) -> NDArray[np.float64]:
        """Influences of the sources, [Q, S], nats; NaN if a unit failed."""
        ...


class Residuals(NamedTuple):
    """Squared error of one prediction's mean over replicates, [S]; and exact read-outs that a month takes."""

    variance_S: Array
    needed: float


@dataclass(frozen=True)
class Head:
    """A linear map from features to influences, through k - 1 coordinates: prediction = coordinates @ column.

    `weight_dk` and `offset_k` make the coordinates (float32). `column_kRU` makes nats of them, NaN where the
    simulation failed. `error_S` is the standard error of one prediction, nats, NaN where every simulation failed.
    `needed`: exact read-outs of a month at the precision asked for, if its number of uses were known before.
    `fitted`: number of queries that it was fitted to.
    """

    weight_dk: Tensor
    offset_k: Tensor
    column_kRU: Array
    error_S: Array
    needed: float
    fitted: int

    @classmethod
    def fit(
        cls, feature_nd: Array, influence_RnU: NDArray[np.floating], design: UnitSums, precision: float
    ) -> "Head":
        """Fit to exact read-outs of some queries, at most the last `MAX_FITTED_QUERIES` of them.

        Directions that the predictions hardly need are dropped: with every column in units of its error,
        predictions of the fitted queries lose at most `DROPPED` of it, as a root mean square.

        Args:
            feature_nd: as `query_features` returns them.
            influence_RnU: nats; NaN: that simulation failed.
            precision: half the 95% interval of each source's total, as a share of the sum of positive totals.

        Raises:
            ConfigError: fewer than two queries.
        """
        feature_nd, influence_RnU = feature_nd[-MAX_FITTED_QUERIES:], influence_RnU[:, -MAX_FITTED_QUERIES:]
        replicates, count, units = influence_RnU.shape
        if count < 2 or count != len(feature_nd):
            raise ConfigError(
                f"A head needs the features and the influences of the same queries, at least 2; got {count} "
                f"influences and {len(feature_nd)} features. Read out more queries exactly, or give the "
                "features of the same ones"
            )
        exact_nC = influence_RnU.transpose(1, 0, 2).reshape(count, -1).astype(np.float64)
        ridge = Ridge.of(feature_nd, np.nan_to_num(exact_nC))
        error_C = np.sqrt(np.square(ridge.left_out_nC).mean(0))
        error_C[error_C == 0] = 1.0
        turn_Ck = _directions(ridge.fitted() / error_C)
        weight_dk = ridge.slope(turn_Ck / error_C[:, None])
        offset_k = -(ridge.mean_d * ridge.scale_d) @ weight_dk
        mean_C = np.where(np.isnan(exact_nC).any(0), np.nan, ridge.mean_C)
        column_kC = np.vstack([turn_Ck.T * error_C, mean_C])
        left_out_nC = np.where(np.isnan(mean_C), np.nan, ridge.left_out_nC)
        found = _residuals(exact_nC, left_out_nC, (replicates, units), design, precision)
        weight, offset = (torch.from_numpy(each).float() for each in (weight_dk, offset_k))
        column_kRU = column_kC.reshape(-1, replicates, units)
        return cls(weight, offset, column_kRU, np.sqrt(found.variance_S), found.needed, count)

    @cached_property
    def content(self) -> bytes:
        """The head as safetensors."""
        numbers = {"needed": np.array([self.needed]), "fitted": np.array([self.fitted])}
        arrays = {"column": self.column_kRU, "error": self.error_S} | numbers
        tensors = {name: torch.from_numpy(np.ascontiguousarray(each)) for name, each in arrays.items()}
        made = {"weight": self.weight_dk.cpu().contiguous(), "offset": self.offset_k.cpu().contiguous()}
        return safetensors.torch.save(tensors | made)

    @cached_property
    def head_id(self) -> str:
        """`head` and twelve hexadecimal digits of the SHA-256 of its content."""
        return f"head-{hashlib.sha256(self.content).hexdigest()[:12]}"

    def save(self, folder: Path) -> Path:
        """Write the head to a folder, under its id."""
        path = folder / f"{self.head_id}.safetensors"
        write_sealed(path, self.content)
        return path

    @classmethod
    def load(cls, path: Path) -> "Head":
        """Read a head.

        Raises:
            DamagedFile: it is missing, or not what was written.
        """
        require_sealed(path, FIT_AGAIN)
        found = safetensors.torch.load_file(path)
        column, error, needed, fitted = (found[name].numpy() for name in ("column", "error", "needed", "fitted"))
        return cls(found["weight"], found["offset"], column, error, float(needed[0]), int(fitted[0]))

    def to(self, device: torch.device) -> "Head":
        """The same head where a model is."""
        return replace(self, weight_dk=self.weight_dk.to(device), offset_k=self.offset_k.to(device))

    def coordinates(self, feature_Qd: NDArray[np.floating]) -> NDArray[np.float32]:
        """Coordinates of queries from their features, [Q, k]; see `query_features`.

        Raises:
            ConfigError: the features are those of another model.
        """
        self._check(feature_Qd.shape[1])
        feature = torch.from_numpy(np.asarray(feature_Qd[:, :-1], np.float32))
        return _with_one(feature @ self.weight_dk.cpu() + self.offset_k.cpu())

    def read(self, passes: Passes, queries: QueryRows) -> tuple[NDArray[np.float32], Array]:
        """Coordinates [Q, k] and measurements [Q], nats, by one forward pass.

        Raises:
            ConfigError: the head is that of another model.
        """
        start_k = torch.cat([self.offset_k, self.offset_k.new_zeros(1)])
        found_Qk = start_k.expand(len(queries.query_ids), -1).clone()
        for batch, query_B in queries.batches(passes.rows_at_once(queries), self.offset_k.device):
            row = passes.run(batch)
            feature_Bd = row.flat()
            self._check(feature_Bd.shape[1] + 1)
            feature_Bd = feature_Bd.float()
            found_Qk.index_add_(0, query_B, torch.cat([feature_Bd @ self.weight_dk, feature_Bd[:, -1:]], 1))
        return _with_one(found_Qk[:, :-1]), found_Qk[:, -1].double().cpu().numpy()

    def influence(self, coordinates_Qk: NDArray[np.floating]) -> Array:
        """Predicted influences, or sums of them from sums of coordinates, [R, Q, U] nats."""
        return np.tensordot(coordinates_Qk.astype(np.float64), self.column_kRU, 1).transpose(1, 0, 2)

    def _check(self, width: int) -> None:
        expected = len(self.weight_dk) + 1
        if width != expected:
            raise ConfigError(
                f"A query of this model has {width:,} features, but {self.head_id} expects {expected:,}: it was "
                "fitted to another model. Fit a new head to exact read-outs of this one"
            )


def _directions(scaled_nC: Array) -> Array:
    """Leading right singular vectors, [C, k]: as few as leave out at most `DROPPED`, root mean square."""
    _, size_k, turn_kC = np.linalg.svd(scaled_nC, full_matrices=False)
    left_k = np.cumsum(np.square(size_k)[::-1])[::-1]  # what is lost without this one and the rest
    kept = int((left_k > DROPPED**2 * scaled_nC.size).sum())
    return np.asarray(turn_kC[: max(kept, 1)].T)


def _residuals(
    exact_nC: Array, left_out_nC: Array, shape: tuple[int, int], design: UnitSums, precision: float
) -> Residuals:
    """Errors by source, and n = max_s (1.96 s / (precision x sum of positive means))^2; see `Head.fit`.

    For n, s^2 is not the mean of the squared errors but what it is below with 95% confidence: few queries with
    large errors tell little of others. An answer's error is that of the mean prediction, and what the prediction
    misses of the spread of replicates.
    """
    count = len(exact_nC)
    exact_RnS, left_RnS = (
        np.stack([design.influence(each) for each in values.reshape(count, *shape).transpose(1, 0, 2)])
        for values in (exact_nC, left_out_nC)
    )
    present_S = np.isfinite(left_RnS).all(1).sum(0)
    counted_S = present_S.clip(1)
    mean_nS, exact_nS = np.nansum(left_RnS, 0) / counted_S, np.nansum(exact_RnS, 0) / counted_S
    square_S = np.square(mean_nS).mean(0)
    spread_S = np.nansum(np.square(left_RnS - mean_nS), 0).mean(0) / (counted_S - 1).clip(1) / counted_S
    variance_S = np.where(present_S > 0, square_S + spread_S, np.nan)
    worth = float(np.clip(exact_nS.mean(0), 0, None).sum())
    above_S = square_S + stdtrit(count - 1, 0.95) * np.square(mean_nS).std(0, ddof=1) / np.sqrt(count)
    return Residuals(variance_S, 1.96**2 * float(above_S.max(initial=0.0)) / max(precision * worth, 1e-150) ** 2)


def _with_one(coordinates: Tensor) -> NDArray[np.float32]:
    one = coordinates.new_ones(len(coordinates), 1)
    found: NDArray[np.float32] = torch.cat([coordinates, one], 1).cpu().numpy()
    return found
