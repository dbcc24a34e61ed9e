"""Errors of an estimator on a worker name the estimator."""

import pytest

from tribute.cluster.estimate import named
from tribute.errors import ConfigError, SimulationError


def test_an_exception_names_the_estimator() -> None:
    with (
        pytest.raises(SimulationError, match=r"Estimator trak failed: ValueError: no such axis\. Choose"),
        named("trak"),
    ):
        raise ValueError("no such axis")


def test_an_error_that_has_a_remedy_already_stays_as_it_is() -> None:
    with pytest.raises(ConfigError, match=r"^patches needs images$"), named("patches"):
        raise ConfigError("patches needs images")
