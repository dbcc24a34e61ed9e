"""Traces of parameters in a recording."""

import numpy as np
import pytest
import torch

from tribute.tasks import joined
from tribute.training.recording import trace


@pytest.mark.parametrize("sizes", [[5], [16], [3, 1, 996], [40_003, 150_000]])
def test_traces_are_as_far_apart_as_the_parameters(sizes: list[int]) -> None:
    one, other = ({str(index): torch.randn(size) for index, size in enumerate(sizes)} for _ in range(2))
    apart = np.sqrt(2) * np.linalg.norm(np.array(trace(one)) - np.array(trace(other)))
    assert len(trace(one)) == 16
    assert 0.3 < apart / float((joined(one) - joined(other)).norm()) < 1.8
