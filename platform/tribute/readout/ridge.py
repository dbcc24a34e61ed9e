"""Ridge regression in the dual: few rows, many features, many columns, and errors by leaving one row out.

Legend: n rows, d features (the last two: a measurement, and 1), C columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PENALTIES = 10.0 ** np.arange(-4, 5)
"""Candidate ridge penalties, relative to the mean squared length of the features."""


@dataclass(frozen=True)
class Ridge:
    """A fit: prediction = (features / scale - mean) x' dual + mean of the columns, without the last feature.

    `left_out_nC`: what the fit to the other rows misses of each row.
    """

    x_nd: Array
    scale_d: Array
    mean_d: Array
    dual_nC: Array
    mean_C: Array
    left_out_nC: Array

    @classmethod
    def of(cls, feature_nd: Array, influence_nC: Array) -> "Ridge":
        """Fit with an unpenalised intercept (the last feature).

        The leave-one-out error selects the penalty. In the dual: head = X' (X X' + penalty I)^-1 Y, with features
        scaled to a mean squared length of 1.
        """
        scale_d = np.sqrt(np.maximum(np.square(feature_nd).mean(0), 1e-12))
        scale_d[:-2] = np.sqrt(max(np.square(feature_nd[:, :-2]).sum(1).mean(), 1e-12))
        x_nd = feature_nd / scale_d
        mean_d, mean_C = x_nd[:, :-1].mean(0), influence_nC.mean(0)
        x_nd, y_nC = x_nd[:, :-1] - mean_d, influence_nC - mean_C
        value_n, vector_nn = np.linalg.eigh(x_nd @ x_nd.T)
        value_n, turned_nC = np.clip(value_n, 0, None), vector_nn.T @ y_nC
        penalties = PENALTIES * max(value_n.mean(), 1e-12)
        errors = [np.square(_residual(vector_nn, turned_nC, value_n, penalty)).sum() for penalty in penalties]
        best = penalties[int(np.argmin(errors))]
        dual_nC = vector_nn @ (turned_nC / (value_n + best)[:, None])
        left_out_nC = _residual(vector_nn, turned_nC, value_n, best, 1 / len(x_nd))
        return cls(x_nd, scale_d[:-1], mean_d, dual_nC, mean_C, left_out_nC)

    def slope(self, of_Ck: Array | None = None) -> Array:
        """Change of the columns, or of weighted sums of them [C, k], by each feature but the last."""
        dual_nk = self.dual_nC if of_Ck is None else self.dual_nC @ of_Ck
        return np.asarray(self.x_nd.T @ dual_nk / self.scale_d[:, None])

    def fitted(self) -> Array:
        """Predictions of the rows, without the mean of the columns, [n, C]."""
        return np.asarray(self.x_nd @ (self.x_nd.T @ self.dual_nC))


def fit_head(feature_nd: Array, influence_nC: Array) -> Array:
    """The fit as one matrix, [d, C]; the last row is the intercept."""
    ridge = Ridge.of(feature_nd, influence_nC)
    slope_dC = ridge.slope()
    return np.vstack([slope_dC, ridge.mean_C - (ridge.mean_d * ridge.scale_d) @ slope_dC])


def _residual(vector_nn: Array, turned_nC: Array, value_n: Array, penalty: float, intercept: float = 0.0) -> Array:
    """What a fit to the other rows misses, [n, C]. `intercept`: the leverage that the mean of the columns has."""
    shrunk_n = penalty / (value_n + penalty)
    one_minus_leverage_n = np.square(vector_nn) @ shrunk_n - intercept
    residual_nC = vector_nn @ (shrunk_n[:, None] * turned_nC)
    return np.asarray(residual_nC / np.maximum(one_minus_leverage_n, 1e-12)[:, None])
