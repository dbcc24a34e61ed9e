"""Real trainings as the lake has them, in units of a simulation."""

import numpy as np

from tribute.catalog import MeasuredTraining, diverged_trainings, training_seeds, trainings_of_units
from tribute.config import EvaluationSettings, Project, TrainingSettings

PROJECT = Project(name="p", corpus={"kind": "text", "path": "a"})
GROUPS = np.array([[1.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def measured(*removed: str, seed: int = 0, nats: float = 1.0) -> MeasuredTraining:
    return MeasuredTraining(1, seed, removed, nats, 1.0)


def test_trainings_without_whole_units_count_and_parts_of_a_group_do_not() -> None:
    rows = [
        measured("a", "b", "d", seed=1, nats=5.0),
        measured("a", nats=2.0),
        measured("c", nats=3.0),
        measured("a", "b", "c", nats=float("nan")),
    ]
    found = trainings_of_units(rows, tuple("abcd"), GROUPS)
    np.testing.assert_array_equal(found.removed_KS, [[0, 1, 0], [1, 0, 1]])
    assert (found.seed_K.tolist(), found.lost_K.tolist()) == ([0, 1], [3.0, 5.0])
    assert diverged_trainings(rows, tuple("abcd"), GROUPS) == (((0, 1), 0),)
    assert diverged_trainings([], tuple("abcd"), GROUPS) == ()


def test_the_order_of_rows_does_not_count() -> None:
    rows = [measured("c", seed=1), measured("d"), measured("c"), measured("a", "b", "c")]
    one, other = (trainings_of_units(each, tuple("abcd"), GROUPS) for each in (rows, rows[::-1]))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_new_seed_is_none_of_an_evaluation_s_and_a_recorded_loop_has_none() -> None:
    training = TrainingSettings(seed=5, replicates=2)
    project = PROJECT.model_copy(update={"training": training})
    assert training_seeds(project, []) == ((5, 6), (7,))
    assert training_seeds(project, [measured("a", seed=8)]) == ((5, 6, 8), (9,))
    failed = measured("a", seed=7, nats=float("nan"))
    assert training_seeds(project, [failed]) == ((5, 6), (8,)), "everything diverged under it"
    assert training_seeds(project, [failed, measured("b", seed=7)]) == ((5, 6, 7), (8,))
    near = project.model_copy(update={"evaluation": EvaluationSettings(first_seed=2)})
    assert training_seeds(near, []).new == ()
    own = project.model_copy(update={"training": training.model_copy(update={"recordings": ("r0", "r1")})})
    assert training_seeds(own, []).new == ()
