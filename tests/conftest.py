"""Numerics run on one thread and deterministically; warnings of our own code are errors."""

import os

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest
import torch


@pytest.fixture(autouse=True)
def deterministic() -> None:
    """One thread, deterministic kernels, one seed."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


@pytest.fixture
def float64():
    """Double precision for the length of a test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)
