"""The head of live queries: the ridge fit in a few numbers per use, kept as the same bits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.unit.readout.small import texts, transformer
from tribute.errors import ConfigError, DamagedFile
from tribute.readout import Passes, fit_head, query_features
from tribute.readout.by_source import SourceHead
from tribute.readout.head import Head
from tribute.simulation import Design, Unit, design_of

Array = NDArray[np.float64]
REPLICATES, UNITS, SOURCES = 3, 4, 5


def design() -> Design:
    """Four units, the last of two sources."""
    units = [Unit(f"u{u}", (u,) if u < 3 else (3, 4)) for u in range(UNITS)]
    return design_of("leave_one_out", units, np.array([1.0, 2.0, 3.0, 1.0, 3.0]))


@dataclass(frozen=True)
class Traffic:
    """Queries whose influences are partly linear in their features: [Q, d], and [R, Q, U] nats."""

    feature_Qd: Array
    influence_RQU: Array

    @classmethod
    def of(cls, queries: int, noise: float = 0.5, seed: int = 0) -> "Traffic":
        world, rng = np.random.default_rng(0), np.random.default_rng([seed, 1])
        feature_Qd = np.hstack([rng.normal(size=(queries, 12)), np.ones((queries, 1))])
        feature_Qd[:, -2] += 5
        truth = np.array([1, 0.1, 3, 0.5]) + world.normal(size=(REPLICATES, 13, UNITS))
        curved_Q1 = np.square(feature_Qd[:, :1])  # a linear head must miss this
        rest = curved_Q1 + noise * rng.gumbel(size=(REPLICATES, queries, UNITS))
        return cls(feature_Qd, feature_Qd @ truth + rest)

    def fit(self, precision: float = 0.05) -> Head:
        return Head.fit(self.feature_Qd, self.influence_RQU, design(), precision)


def test_few_coordinates_predict_as_the_dense_fit_does() -> None:
    fitted, fresh = Traffic.of(200), Traffic.of(50, seed=1)
    head = fitted.fit()
    dense_dC = fit_head(fitted.feature_Qd, fitted.influence_RQU.transpose(1, 0, 2).reshape(200, -1))
    expected = (fresh.feature_Qd @ dense_dC).reshape(50, REPLICATES, UNITS).transpose(1, 0, 2)
    found = head.influence(head.coordinates(fresh.feature_Qd))
    error = np.sqrt(np.square(fresh.influence_RQU - expected).mean())
    assert head.column_kRU.shape[0] <= REPLICATES * UNITS + 1
    assert np.sqrt(np.square(found - expected).mean()) < 0.1 * error


def test_directions_that_predict_nothing_are_dropped() -> None:
    rng = np.random.default_rng(3)
    feature_nd = np.hstack([rng.normal(size=(600, 4)), np.ones((600, 1))])
    noise_RnU = 0.1 * rng.normal(size=(REPLICATES, 600, UNITS))
    alone_RnU = feature_nd[:, :1] * rng.normal(size=(REPLICATES, 1, UNITS)) + noise_RnU
    head = Head.fit(feature_nd, alone_RnU, design(), 0.05)
    assert len(head.column_kRU) == 2  # one direction, and the mean
    left = alone_RnU - head.influence(head.coordinates(feature_nd))
    assert np.sqrt(np.square(left).mean()) < 0.12


def test_coordinates_add_up_over_uses() -> None:
    traffic = Traffic.of(100)
    head, uses_Q = traffic.fit(), np.random.default_rng(0).exponential(size=100)
    coordinates_Qk = head.coordinates(traffic.feature_Qd)
    expected = np.einsum("q,rqu->ru", uses_Q, head.influence(coordinates_Qk))
    np.testing.assert_allclose(head.influence((uses_Q @ coordinates_Qk)[None])[:, 0], expected, rtol=1e-9)


def test_one_pass_gives_the_coordinates_of_the_features() -> None:
    model, queries = transformer(torch.float32, "all"), texts()
    task, theta_P = model.scope.task, model.theta_P
    passes = Passes(task, theta_P)
    feature_Qd = query_features(passes, queries)
    influence_RQU = np.random.default_rng(0).normal(size=(REPLICATES, 4, UNITS))
    head = Head.fit(feature_Qd, influence_RQU, design(), 0.05)
    found_Qk, measured_Q = head.read(passes, queries)
    np.testing.assert_allclose(found_Qk, head.coordinates(feature_Qd), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(measured_Q, feature_Qd[:, -2], rtol=1e-6)


def test_the_error_of_a_head_holds_for_other_queries() -> None:
    fitted, fresh = Traffic.of(400), Traffic.of(1000, seed=2)
    head = fitted.fit()
    coordinates_Qk = head.coordinates(fresh.feature_Qd)
    by_replicate = np.stack([design().influence(each) for each in head.influence(coordinates_Qk)])
    column_RkS = SourceHead.of(head, design()).column_RkS
    np.testing.assert_allclose(coordinates_Qk.astype(float) @ column_RkS, by_replicate, rtol=1e-9, atol=1e-9)
    missed_QS = design().influence(fresh.influence_RQU.mean(0)) - by_replicate.mean(0)
    within_QS = np.stack([design().influence(each) for each in fresh.influence_RQU]) - by_replicate
    expected_S = np.square(missed_QS).mean(0) + within_QS.var(0, ddof=1).mean(0) / REPLICATES
    np.testing.assert_allclose(head.error_S, np.sqrt(expected_S), rtol=0.15)


def test_failed_simulations_predict_nothing_for_their_sources_alone() -> None:
    traffic = Traffic.of(60)
    failed_RQU = traffic.influence_RQU.copy()
    failed_RQU[1, :, 0], failed_RQU[:, :, 3] = np.nan, np.nan
    head = Head.fit(traffic.feature_Qd, failed_RQU, design(), 0.05)
    coordinates_Qk, column_RkS = head.coordinates(traffic.feature_Qd), SourceHead.of(head, design()).column_RkS
    np.testing.assert_array_equal(np.isnan(head.influence(coordinates_Qk)), np.isnan(failed_RQU))
    missing_RS = [[False, False, False, True, True]] * REPLICATES
    missing_RS[1] = [True, False, False, True, True]
    np.testing.assert_array_equal(np.isnan(column_RkS).any(1), missing_RS)
    np.testing.assert_array_equal(np.isnan(head.error_S), missing_RS[0])


def test_a_saved_head_predicts_the_same_bits(tmp_path: Path) -> None:
    traffic = Traffic.of(60)
    failed_RQU = traffic.influence_RQU.copy()
    failed_RQU[0, :, 1] = np.nan
    head = Head.fit(traffic.feature_Qd, failed_RQU, design(), 0.05)
    path = head.save(tmp_path)
    loaded = Head.load(path)
    assert loaded.head_id == head.head_id == path.stem
    assert (loaded.needed, loaded.fitted) == (head.needed, 60)
    one, other = (each.coordinates(traffic.feature_Qd) for each in (head, loaded))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(head.influence(one), loaded.influence(other))
    np.testing.assert_array_equal(head.error_S, loaded.error_S)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedFile, match="fits a new head"):
        Head.load(path)


def test_another_models_features_are_refused() -> None:
    head, model = Traffic.of(60).fit(), transformer(torch.float32, "all")
    with pytest.raises(ConfigError, match=r"has 12 features, but head-.* expects 13"):
        head.coordinates(np.ones((4, 12)))
    with pytest.raises(ConfigError, match="another model"):
        head.read(Passes(model.scope.task, model.theta_P), texts())


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2; got 1"):
        Traffic.of(1).fit()
