"""The ridge fit: what it learns, and errors that are those of fits without each row."""

import numpy as np

from tribute.readout.ridge import Ridge, fit_head


def test_a_head_recovers_a_linear_map_and_shrinks_noise_to_the_mean() -> None:
    rng = np.random.default_rng(0)
    feature, new = (np.hstack([rng.normal(size=(80, 9)), np.ones((80, 1))]) for _ in range(2))
    truth = rng.normal(size=(10, 2))
    np.testing.assert_allclose(new @ fit_head(feature, feature @ truth), new @ truth, atol=2e-2)
    noise = 3 + rng.normal(size=(80, 2))
    assert np.abs(new @ fit_head(feature, noise) - noise.mean(0)).mean() < 0.2


def test_errors_are_those_of_fits_to_the_other_rows() -> None:
    """A fit to the others by the same penalty, with features centred and scaled as before."""
    rng = np.random.default_rng(1)
    feature_nd = np.hstack([3 + rng.normal(size=(20, 8)), np.ones((20, 1))])
    influence_nC = feature_nd @ rng.normal(size=(9, 2)) + rng.normal(size=(20, 2))
    ridge = Ridge.of(feature_nd, influence_nC)
    y_nC, x_nd = influence_nC - ridge.mean_C, np.hstack([ridge.x_nd, np.ones((20, 1))])
    slope_dC = ridge.slope() * ridge.scale_d[:, None]
    unfitted_dC = ridge.x_nd.T @ (y_nC - ridge.x_nd @ slope_dC)
    penalty = float((unfitted_dC / slope_dC).mean())  # X' (Y - X B) = penalty B
    np.testing.assert_allclose(unfitted_dC, penalty * slope_dC, rtol=1e-6)
    ridge_dd = penalty * np.diag([*np.ones(8), 0.0])
    for row in range(20):
        rest_nd, rest_nC = np.delete(x_nd, row, 0), np.delete(y_nC, row, 0)
        left_out_dC = np.linalg.solve(rest_nd.T @ rest_nd + ridge_dd, rest_nd.T @ rest_nC)
        np.testing.assert_allclose(ridge.left_out_nC[row], y_nC[row] - x_nd[row] @ left_out_dC, rtol=1e-6)
