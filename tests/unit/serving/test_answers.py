"""Means over replicates that did not fail, the sources listed, and those that are not, summed."""

import json

import numpy as np
import pytest

from tribute.corpus import TextFormat
from tribute.serving.attributing.answers import Estimated, answer_head, influences, listed
from tribute.serving.attributing.tokens import by_piece

ONE = np.ones(1)
NAN = np.nan


def estimated(*rows: list[float]) -> Estimated:
    """One query; a row per replicate."""
    influence_RQS = np.array(rows)[:, None]
    return Estimated.of(influence_RQS, np.zeros((1, len(rows[0]))), ONE)


def test_means_and_errors_are_over_the_replicates_that_did_not_fail() -> None:
    found = estimated([1.0, NAN, NAN], [3.0, 5.0, NAN], [8.0, 7.0, NAN])
    assert found.mean_QS[0].tolist() == [4.0, 6.0, 0.0]
    spread = [np.std([1, 3, 8], ddof=1) / np.sqrt(3), np.std([5, 7], ddof=1) / np.sqrt(2), 0.0]
    assert found.error_QS[0].tolist() == pytest.approx(spread)
    assert found.known_QS[0].tolist() == [True, True, False]


def test_errors_add_up_and_are_widened() -> None:
    influence_RQS = np.array([1.0, 3.0])[:, None, None]
    found = Estimated.of(influence_RQS, np.array([[2.0]]), np.array([3.0]))
    assert found.error_QS[0, 0] == pytest.approx(3 * np.sqrt(1.0 + 4.0))


def test_one_replicate_has_no_spread() -> None:
    assert estimated([2.0]).error_QS.tolist() == [[0.0]]


def test_publishers_get_their_parts_of_means_whatever_failed() -> None:
    """A failed replicate of one source must not count as an influence of nothing."""
    influence_RQS = np.array([[[1.0, 10.0, NAN]], [[3.0, NAN, NAN]]])
    part_SP = np.array([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    found = Estimated.of_parts(influence_RQS, np.zeros((1, 3)), part_SP, ONE)
    assert found.mean_QS[0].tolist() == [2.0 + 2.5, 7.5, 0.0]
    assert found.known_QS[0].tolist() == [True, True, False]
    by_source = Estimated.of(influence_RQS, np.zeros((1, 3)), ONE)
    assert found.mean_QS.sum() == pytest.approx(by_source.mean_QS.sum())


def test_errors_of_publishers_know_that_replicates_go_together() -> None:
    influence_RQS = np.array([[[1.0, -1.0]], [[3.0, -3.0]]])
    both, error_QS = np.array([[1.0], [1.0]]), np.array([[0.3, 0.4]])
    found = Estimated.of_parts(influence_RQS, error_QS, both, ONE)
    assert found.error_QS[0, 0] == pytest.approx(0.5)  # the sources' replicates cancel out


@pytest.mark.parametrize(
    ("top_k", "expected"), [(None, [2, 0, 3, 1]), (9, [2, 0, 3, 1]), (4, [2, 0, 3, 1]), (2, [2, 1]), (1, [1])]
)
def test_the_largest_by_size_are_listed_the_most_helpful_first(top_k: int | None, expected: list[int]) -> None:
    found = estimated([0.5, -9.0, 4.0, -0.1])
    assert listed(found, 0, top_k).tolist() == expected


def test_equal_influences_keep_the_order_of_the_sources() -> None:
    assert listed(estimated([1.0, 1.0, 1.0]), 0, None).tolist() == [0, 1, 2]


def test_a_source_whose_simulations_failed_is_neither_listed_nor_summed() -> None:
    found = estimated([0.5, NAN, 4.0, -0.25])
    columns = listed(found, 0, 1)
    answer = influences(found, 0, columns, ["a", "b", "c", "d"], "source_id")
    assert answer["sources"] == [{"source_id": "c", "influence_nats": 4.0, "std_error_nats": 0.0}]
    assert answer["others"] == {"count": 2, "influence_nats": 0.25}


def test_influences_on_tokens_stand_beside_their_source() -> None:
    found, token_TS = estimated([1.0, 2.0]), np.array([[0.25, 0.5], [0.75, 1.5]])
    answer = influences(found, 0, listed(found, 0, None), ["a", "b"], "source_id", token_TS)
    assert [row["token_nats"] for row in answer["sources"]] == [[0.5, 1.5], [0.25, 0.75]]


def test_the_head_lacks_one_member_of_an_object() -> None:
    whole = answer_head("m", "simulate-1", [{"query_id": "q"}]) + b',"recorded":3}'
    assert json.loads(whole) == {
        "model": "m",
        "simulate_run": "simulate-1",
        "queries": [{"query_id": "q"}],
        "recorded": 3,
    }


def test_a_character_has_the_influence_on_all_its_bytes() -> None:
    text = "aé€"  # 1, 2 and 3 bytes; nothing predicts the first byte
    nats_TS = np.array([[1.0], [2.0], [4.0], [8.0], [16.0]])
    characters, nats_CS = by_piece(TextFormat(6), "", text, np.ones(5, bool), nats_TS)
    assert characters == ["a", "é", "€"]
    assert nats_CS[:, 0].tolist() == [0.0, 3.0, 28.0]


def test_padding_after_a_text_has_no_character() -> None:
    measured_T = np.array([True, False, False])
    characters, nats_CS = by_piece(TextFormat(4), "", "ab", measured_T, np.array([[1.0], [7.0], [7.0]]))
    assert (characters, nats_CS[:, 0].tolist()) == (["a", "b"], [0.0, 1.0])
