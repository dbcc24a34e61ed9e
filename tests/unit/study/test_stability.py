"""A small change of usage is a small change of money: ten sources of digits, one with shuffled labels."""

from pathlib import Path

import numpy as np
import pytest

import tribute
from tests.digits import digits
from tribute.valuation.posterior import shares

COUNTS = {f"s{number}": 60 + 10 * number for number in range(10)}
HARMFUL, LEANT_ON = "s4", "s7"
TRAINING = tribute.TrainingSettings(
    optimizer="sgd", learning_rate=0.1, batch_size=32, epochs=20, replicates=3, schedule="cosine"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tribute.Study:
    by_source = digits(COUNTS)
    by_source[HARMFUL]["labels"] = np.random.default_rng(0).permutation(by_source[HARMFUL]["labels"])
    folder: Path = tmp_path_factory.mktemp("study")
    found = tribute.Study(
        tribute.Classifier(features=64, hidden=(16,)), by_source, training=TRAINING, folder=folder
    )
    found.train()
    return found


@pytest.mark.slow
def test_a_tenth_more_uses_of_one_source_hardly_moves_the_others_among_themselves(study: tribute.Study) -> None:
    """Beyond what the new uses' influences say; trainings are read out anew, and say more of them."""
    first = sum(COUNTS.values())
    usage, others = digits({"usage": 240, "others": 480}, first=first).values()
    leant_on, before, pool = study.source_ids.index(LEANT_ON), study.attribute(usage), study.attribute(others)
    value_S = study.value(before, budget=12).value_S
    late = np.argsort(-pool.influence_QS[:, leant_on])[:24]
    after = study.attribute({name: np.concatenate([usage[name], others[name][late]]) for name in usage})
    found_S = shares(study.value(after, budget=12).value_S)
    simulated_S = before.influence_QS.sum(0)
    worth = value_S @ simulated_S / (simulated_S @ simulated_S)
    told_S = shares(value_S + worth * pool.influence_QS[late].sum(0))
    assert found_S[leant_on] > shares(value_S)[leant_on]
    told_O, found_O = (shares(np.delete(share_S, leant_on)) for share_S in (told_S, found_S))
    assert (np.abs(found_O - told_O) <= 0.08 * told_O + 1e-9).all()


@pytest.mark.slow
def test_a_source_that_hurts_is_negative_and_paid_nothing(study: tribute.Study) -> None:
    queries = digits({"queries": 240}, first=sum(COUNTS.values()))["queries"]
    values = study.value(study.attribute(queries), budget=12)
    harmful = study.source_ids.index(HARMFUL)
    assert values.value_S[harmful] < 0
    assert values.shares().exact[HARMFUL] == 0
    assert (np.delete(values.value_S, harmful) > 0).all()
