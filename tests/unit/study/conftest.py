"""A small classifier with three sources of digits, in memory."""

import numpy as np
import pytest

import tribute
from tests.digits import digits

EACH_SEED = tribute.TrainingSettings(optimizer="sgd", learning_rate=0.1, batch_size=16, epochs=2)
TRAINING = EACH_SEED.model_copy(update={"replicates": 1})
TASK = tribute.Classifier(features=64, hidden=(8,))
BY_SOURCE = digits({"a": 32, "b": 40, "c": 24})
QUERIES = digits({"queries": 24}, first=1500)["queries"]


@pytest.fixture(scope="session")
def study() -> tribute.Study:
    """A trained study."""
    found = tribute.Study(TASK, BY_SOURCE, training=TRAINING)
    found.train()
    return found


@pytest.fixture(scope="session")
def attribution(study: tribute.Study) -> tribute.Attribution:
    """Influences of its sources on some digits."""
    return study.attribute(QUERIES)


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    """Columns of a fresh source."""
    return {name: values.copy() for name, values in BY_SOURCE["a"].items()}
