"""Which examples are tried: extremes, each label, and some of the rest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tribute.tasks.contract import chosen_rows


@given(arrays(np.int64, st.integers(1, 40), elements=st.integers(-200, 200)))
def test_every_label_and_every_extreme_is_among_them(labels: np.ndarray) -> None:
    features = np.sin(np.arange(3 * len(labels)) * 7.0).reshape(-1, 3)
    rows = chosen_rows({"features": features, "labels": labels})
    assert set(labels[rows]) == set(labels)
    assert {features.min(), features.max()} <= set(features[rows].flatten())
    assert len(set(rows)) == len(rows) <= len(labels)


def test_many_different_numbers_are_tried_by_their_extremes() -> None:
    numbers = np.random.default_rng(0).permutation(1000)
    rows = chosen_rows({"targets": numbers})
    assert len(rows) <= 5
    assert {0, 999} <= set(numbers[rows])
