"""Tokens without padding: never more than the tokens, and in full where nothing is unusual."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.valuation.learnt import learnt_tokens

TOKENS = np.array([100.0, 200.0, 300.0, 900.0])


def test_a_source_counts_by_what_is_usual_for_the_others() -> None:
    eligible = np.array([70.0, 140.0, 210.0, 270.0])  # of the last, padded one .3, of the others .7
    assert learnt_tokens(TOKENS, eligible) == pytest.approx([100, 200, 300, 450])


def test_a_source_of_which_the_model_learns_less_counts_less() -> None:
    fall_RS = np.array([[1.0, 2.0, 2.0, 0.4], [3.0, 2.0, 2.0, -0.4]])
    assert learnt_tokens(TOKENS, None, fall_RS) == pytest.approx([100, 200, 300, 90])


def test_both_parts_multiply() -> None:
    found = learnt_tokens(TOKENS, np.array([70.0, 140.0, 210.0, 270.0]), np.array([[2.0, 2.0, 2.0, 1.0]]))
    assert found == pytest.approx([100, 200, 300, 225])


def test_what_is_not_known_changes_nothing() -> None:
    assert learnt_tokens(TOKENS).tolist() == TOKENS.tolist()
    assert learnt_tokens(TOKENS, np.array([1.0, 1.0, 1.0, np.nan])).tolist() == TOKENS.tolist()
    assert learnt_tokens(TOKENS, None, np.zeros((2, 4))).tolist() == TOKENS.tolist()


@given(st.lists(st.tuples(st.floats(1, 1e9), st.floats(0, 1), st.floats(-5, 5)), min_size=1, max_size=9))
def test_no_source_gains(sources: list[tuple[float, float, float]]) -> None:
    tokens_S, part_S, fall_S = np.array(sources).T
    learnt_S = learnt_tokens(tokens_S, tokens_S * part_S, fall_S[None])
    assert (learnt_S <= tokens_S).all() and learnt_S.sum() > 0
