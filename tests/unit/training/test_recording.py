"""Traces of parameters in a recording."""

import numpy as np
import pytest
import torch

from tribute.training.recording import trace


@pytest.mark.parametrize("size", [5, 16, 1000, 40_003])
def test_traces_are_as_far_apart_as_the_parameters(size: int) -> None:
    one, other = torch.randn(size), torch.randn(size)
    apart = np.sqrt(2) * np.linalg.norm(np.array(trace(one)) - np.array(trace(other)))
    assert len(trace(one)) == 16
    assert 0.3 < apart / float((one - other).norm()) < 1.8
