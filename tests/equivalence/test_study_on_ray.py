"""A study computes the same numbers in this process and on Ray."""

import numpy as np

import tribute
from tests.unit.study.conftest import BY_SOURCE, EACH_SEED, QUERIES, TASK


def test_the_same_influence_and_shares_on_ray() -> None:
    found = []
    for ray in (False, True):
        study = tribute.Study(TASK, BY_SOURCE, training=EACH_SEED, replicates=2, ray=ray)
        study.train()
        influence = study.attribute(QUERIES)
        found.append((influence.influence_RQS, study.value(influence).shares().exact))
        study.close()
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
