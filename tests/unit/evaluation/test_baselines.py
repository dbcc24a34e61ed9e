"""Baselines without a model."""

import numpy as np

from tribute.corpus import array_queries, text_queries
from tribute.evaluation import guesses
from tribute.training import TrainingSet

TOKENS = np.array([30.0, 10.0])


def test_label_match_counts_the_examples_with_the_query_s_label() -> None:
    columns = {
        "a": {"features": np.zeros((4, 2)), "labels": np.array([0, 0, 1, 2])},
        "b": {"features": np.zeros((2, 2)), "labels": np.array([1, 1])},
    }
    data = TrainingSet.assemble(columns)
    queries = array_queries(["q0", "q1", "q2"], np.zeros((3, 2)), [0, 1, 7])
    found = guesses(data, TOKENS, queries)
    np.testing.assert_array_equal(found["label match"], [[2, 0], [1, 2], [0, 0]])
    np.testing.assert_array_equal(found["token count"], [[0.75, 0.25]] * 3)
    assert "source match" not in found


def test_source_match_puts_the_query_s_own_source_first() -> None:
    data = TrainingSet.assemble({name: {"tokens": np.zeros((1, 5))} for name in ("a/x", "b")})
    queries = text_queries(["a/x/0", "b/3", "b/4"], ["some text"] * 3, 5)
    found = guesses(data, TOKENS, queries)
    assert found["source match"].argmax(1).tolist() == [0, 1, 1]
    assert "label match" not in found
    assert "source match" not in guesses(data, TOKENS, text_queries(["x", "y"], ["some text"] * 2, 5))
