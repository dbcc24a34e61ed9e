"""What all tests of recorded Trainers share."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def libraries_are_collected_once() -> Iterator[None]:
    """A Trainer collects garbage before it trains, which takes 0.3 s for the objects of the libraries alone."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
