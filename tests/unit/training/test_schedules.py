"""Learning rates, batch order and horizons."""

import numpy as np
import pytest

from tribute.config import TrainingSettings
from tribute.errors import ConfigError
from tribute.training.schedules import BatchOrder, horizon_start, learning_rates, training_steps


def test_warm_up_rises_to_the_peak_and_cosine_falls_to_the_last_rate() -> None:
    rates = learning_rates(TrainingSettings(learning_rate=2.0, warmup=0.2, final_rate=0.1, schedule="cosine"), 20)
    np.testing.assert_allclose(rates[:5], [0.5, 1.0, 1.5, 2.0, 2.0])
    assert rates[-1] == pytest.approx(0.2)
    assert (np.diff(rates[4:]) < 0).all()


def test_horizon_is_measured_in_learning_rate_mass() -> None:
    rates = np.array([1.0, 1.0, 1.0, 0.5, 0.5])
    assert horizon_start(rates, 1.0) == 0
    assert horizon_start(rates, 0.5) == 2  # the last three steps hold 2 of 4
    assert horizon_start(rates, 0.25) == 3
    assert horizon_start(rates, 0.01) == 4


def test_an_epoch_shows_every_example_once_and_epochs_differ() -> None:
    order = BatchOrder(examples=12, batch_size=4, seed=3)
    first = np.concatenate([order.indices(step) for step in range(3)])
    second = np.concatenate([order.indices(step) for step in range(3, 6)])
    assert sorted(first) == sorted(second) == list(range(12))
    assert list(first) != list(second)
    np.testing.assert_array_equal(order.indices(1), BatchOrder(12, 4, 3).indices(1))


def test_a_corpus_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size is 32, but the corpus has only 5 examples"):
        training_steps(TrainingSettings(batch_size=32), 5)
