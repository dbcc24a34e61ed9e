"""A study evaluated by real retraining: its scores, and refused requests."""

import pytest
import torch

import tribute
from tests.digits import digits
from tests.unit.study.conftest import BY_SOURCE, QUERIES, TASK, TRAINING
from tribute.errors import ConfigError
from tribute.study.evaluation import _lost
from tribute.study.examples import query_table


def test_full_retraining_of_the_own_seed_scores_perfectly_against_itself(study: tribute.Study) -> None:
    """Influence over the whole horizon is the loss of leaving a source out, so the order of the halves is too."""
    whole = tribute.SimulationSettings(horizon=1.0)
    exact = tribute.Study(TASK, BY_SOURCE, training=TRAINING, simulation=whole, folder=study.folder)
    exact.train()
    table = query_table(QUERIES, exact.data, None, None)
    lost_QU = _lost(exact, TRAINING.seed, [(0,), (1,), (2,)], table)
    assert torch.allclose(
        torch.from_numpy(lost_QU), torch.from_numpy(exact.attribute(QUERIES).influence_QS), atol=1e-4
    )


def test_a_report_prints_every_measure_and_the_retrains(study: tribute.Study) -> None:
    report = study.evaluate(QUERIES, seeds=2, subsets=10)
    assert report.retrains == 2 * 3 + 2 * 3  # three sources under two seeds; their three halves under two
    measures = {str(row["measure"]) for row in report.rows()}
    assert measures >= {"misallocated pool", "leave-one-out correlation", "95% intervals that hold"}
    assert all(measure in str(report) for measure in measures)


def test_too_few_queries_are_refused(study: tribute.Study) -> None:
    with pytest.raises(ConfigError, match="5 queries are too few"):
        study.evaluate(digits({"queries": 5}, first=1500)["queries"])
