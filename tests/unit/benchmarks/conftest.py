"""MNIST for tests: they are skipped where it is missing, and fail where CI is set."""

import os
from pathlib import Path

import pytest

from tests.benchmarks.data import MissingData, mnist_folder


@pytest.fixture(scope="session")
def mnist() -> Path:
    """The folder of MNIST's four files."""
    try:
        return mnist_folder()
    except MissingData as error:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop(str(error))
