"""From examples to shares in one process: results, resumption, and error messages for misuse."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import tribute
from tests.digits import digits
from tests.e2e.cliff_task import BAD_SEED, OTHERS, SeedCliff, examples
from tests.unit.reporting import Noted
from tests.unit.study.conftest import BY_SOURCE, EACH_SEED, QUERIES, TASK, TRAINING
from tribute.errors import ConfigError, CorpusError, SimulationError
from tribute.estimators import Groups, Trained, build_estimator
from tribute.tasks import joined
from tribute.training import Trajectory
from tribute.valuation.steps import BATCH


def test_influence_is_what_the_model_loses_without_the_source(tmp_path: Path) -> None:
    """Over the whole horizon, paired influence is the difference of two real trainings."""
    whole = tribute.SimulationSettings(horizon=1.0)
    study = tribute.Study(TASK, BY_SOURCE, training=TRAINING, simulation=whole, folder=tmp_path)
    study.train()
    [replicate] = study.replicates
    recipe, weights = study.runs.recipe, torch.tensor([1.0, 0.0, 1.0])
    without = joined(recipe.run(recipe.initial(), range(recipe.steps), weights).theta)
    batch = {name: torch.from_numpy(values) for name, values in QUERIES.items()}
    lost_Q = recipe.task.measure(replicate.final(), batch) - recipe.task.measure(without, batch)
    np.testing.assert_allclose(study.attribute(QUERIES).influence_QS[:, 1], lost_Q.detach(), atol=1e-4)


def test_numbers_that_an_estimator_keeps_of_each_source_are_those_of_its_gather(tmp_path: Path) -> None:
    """Sources of a study stand in the order of their ids, in files of two."""
    by_source = digits({"b": 40, "a": 32, "c": 24})
    few = tribute.SimulationSettings(chunk=2)
    two = TRAINING.model_copy(update={"replicates": 2})
    study = tribute.Study(TASK, by_source, training=two, simulation=few, folder=tmp_path)
    study.train()
    found = study.attribute(QUERIES, "adamw_influence")
    for row_S, replicate in zip(found.per_source("error_G"), study.replicates, strict=True):
        trained = Trained(replace(study.runs.recipe, seed=replicate.seed), replicate.trajectory, replicate.steps)
        groups = Groups.of_sources(trained.data, range(3))
        expected_G = build_estimator("adamw_influence", {}).gather(trained, {}, groups)["error_G"]
        np.testing.assert_allclose(row_S, expected_G, rtol=1e-3)
    assert len(set(found.per_source("error_G").round(3).flat)) == 6
    with pytest.raises(ConfigError, match=r"adamw_influence keeps no 'residual_G' of each source, but error_G\. "):
        found.per_source("residual_G")


def test_sampled_coalitions_state_how_far_they_are_from_all(tmp_path: Path) -> None:
    by_source, totals, parts = digits(dict.fromkeys("abcde", 16)), [], []
    for coalitions in (12, 32):
        settings = tribute.SimulationSettings(notion="banzhaf", coalitions=coalitions, horizon=1.0)
        study = tribute.Study(TASK, by_source, training=TRAINING, simulation=settings, folder=tmp_path)
        study.train()
        attribution = study.attribute(QUERIES)
        totals.append(attribution.influence_QS.sum(0))
        parts.append(attribution.coalitions_PS)
    few_PS, all_PS = parts
    assert few_PS.shape == (6, 5) and all_PS.shape == (0, 5)
    distance = np.abs(totals[0] - totals[1]) / np.sqrt(np.square(few_PS).sum(0))
    assert (distance < 6).all(), "Student's t of 5 degrees exceeds it in one case of 500"
    assert (distance > 0).all()


def test_shares_are_exact_and_divide_the_pool(study: tribute.Study, attribution: tribute.Attribution) -> None:
    shares = study.value(attribution, budget=1).shares()
    assert sum(shares.exact.values()) == 1
    assert sum(shares.allocate("10000.00 EUR").minor.values()) == 1_000_000


def test_a_folder_is_found_again_with_nothing_computed_twice(tmp_path: Path) -> None:
    def valued() -> tuple[dict[str, Fraction], dict[Path, int]]:
        study = tribute.Study(TASK, BY_SOURCE, training=TRAINING, folder=tmp_path)
        study.train()
        shares = study.value(study.attribute(QUERIES), budget=2).shares().exact
        return shares, {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    first = valued()
    assert valued() == first


def test_other_examples_or_another_task_are_another_study(tmp_path: Path) -> None:
    other = {source: {name: values[:-1] for name, values in held.items()} for source, held in BY_SOURCE.items()}
    wider = tribute.Classifier(features=64, hidden=(9,))
    studies = [(TASK, BY_SOURCE), (TASK, other), (wider, BY_SOURCE)]
    folders = {tribute.Study(*each, training=TRAINING, folder=tmp_path).runs.folder for each in studies}
    assert len(folders) == len(studies)


def test_more_replicates_keep_those_that_are_there(tmp_path: Path) -> None:
    one = tribute.Study(TASK, BY_SOURCE, training=TRAINING, folder=tmp_path)
    two = tribute.Study(TASK, BY_SOURCE, training=EACH_SEED, folder=tmp_path, replicates=2)
    one.train()
    [first] = one.replicates
    shutil.rmtree(one.runs.folder / "simulated", ignore_errors=True)
    before = first.trajectory.path(first.steps).stat().st_mtime_ns
    two.train()
    assert Trajectory(first.trajectory.folder).path(first.steps).stat().st_mtime_ns == before
    assert [each.seed for each in two.replicates] == [0, 1]


def test_two_numbers_of_replicates_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"replicates is 2, training\.replicates is 1\. Give replicates= alone"):
        tribute.Study(TASK, BY_SOURCE, training=TRAINING, replicates=2)


def test_trainings_are_bought_until_the_precision_is_there_and_a_finer_one_goes_on(tmp_path: Path) -> None:
    study = tribute.Study(TASK, BY_SOURCE, training=TRAINING, folder=tmp_path)
    study.train()
    attribution = study.attribute(QUERIES)
    none, two = study.value(attribution, budget=0), study.value(attribution, budget=2)
    assert (none.cost.retrains, two.cost.retrains) == (0, 2)
    assert two.expected_misallocation < none.expected_misallocation
    asked = two.expected_misallocation - 0.01
    finer = study.value(attribution, precision=asked)
    assert finer.expected_misallocation <= asked
    first, further = two.calibration["trainings"], finer.calibration["trainings"]
    assert len(first) < len(further) and all(each in further for each in first)
    again = tribute.Study(TASK, BY_SOURCE, training=TRAINING, folder=tmp_path)
    again.train()
    assert again.value(attribution, precision=asked).shares().exact == finer.shares().exact


def test_a_valuation_that_stopped_on_the_way_ends_with_the_same_values(tmp_path: Path) -> None:
    whole, stopped = (
        tribute.Study(TASK, BY_SOURCE, training=TRAINING, folder=tmp_path / name) for name in ("whole", "stopped")
    )
    for study in (whole, stopped):
        study.train()
    attribution = whole.attribute(QUERIES)
    stopped.value(attribution, budget=BATCH)
    one, other = (study.value(attribution, budget=BATCH + 1) for study in (whole, stopped))
    assert one.calibration == other.calibration and one.shares().exact == other.shares().exact


def cliff(folder: Path, seed: int = 0) -> tuple[tribute.Study, tribute.Attribution, Noted]:
    """A study of five sources, which diverges without the first of them, and what it warns of."""
    training = EACH_SEED.model_copy(
        update={"learning_rate": 0.2, "batch_size": 20, "epochs": 9, "schedule": "constant", "seed": seed}
    )
    study = tribute.Study(SeedCliff(), examples(), training=training, replicates=1, folder=folder)
    noted = Noted()
    study.runs = replace(study.runs, reporter=noted)
    study.train()
    return study, study.attribute({name: values[:4] for name, values in examples()[OTHERS[0]].items()}), noted


def test_what_diverged_counts_is_told_and_is_not_tried_again(tmp_path: Path) -> None:
    study, attribution, noted = cliff(tmp_path)
    study.value(attribution, budget=9)
    rows = json.loads((study.runs.folder / "trainings.json").read_text())
    tried = [(seed, tuple(removed)) for seed, removed, _, _ in rows]
    assert any(0 in removed for _, removed in tried) and max(step for *_, step in rows) > 1
    assert len(tried) == len(set(tried))
    assert any("without anchor" in each for each in noted.warnings)


def test_a_new_seed_that_diverges_is_not_used_and_counts(tmp_path: Path) -> None:
    study, attribution, noted = cliff(tmp_path, BAD_SEED - 1)
    path = study.runs.folder / "trainings.json"
    path.write_text(json.dumps([[BAD_SEED, [1], 2.0, 1]]))
    values = study.value(attribution, budget=4)
    rows = json.loads(path.read_text())
    assert [seed for seed, *_ in rows].count(BAD_SEED) == 1 and sum(row[2] for row in rows) == 4
    assert all(each["seed"] != BAD_SEED for each in values.calibration["trainings"])
    assert f"without east under seed {BAD_SEED}" in noted.warnings[0]


@pytest.mark.parametrize(
    "asked",
    [
        *({"precision": wrong} for wrong in (0, 1.5, "0.1", True)),
        *({"budget": wrong} for wrong in (-1, 2.5, True, "3")),
    ],
)
def test_a_precision_or_budget_that_is_none_is_refused(
    study: tribute.Study, attribution: tribute.Attribution, asked: dict
) -> None:
    [name] = asked
    with pytest.raises(ConfigError, match=f"{name} is .*Give a"):
        study.value(attribution, **asked)


def test_a_publisher_without_a_source_is_refused_even_if_nothing_is_trained(
    study: tribute.Study, attribution: tribute.Attribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "valuation", tribute.ValuationSettings(publisher="z", budget=0))
    with pytest.raises(ConfigError, match=r"valuation\.publisher is 'z', who is paid for no source"):
        study.value(attribution)


def test_queries_without_weight_are_worth_nothing_and_train_nothing(study: tribute.Study) -> None:
    values = study.value(study.attribute(QUERIES, weights=[0.0] * 24), budget=np.int64(2))
    assert values.cost.retrains == 0 and not values.value_S.any() and not np.any(values.interval())
    assert values.shares().exact == {"a": Fraction(1, 3), "b": Fraction(5, 12), "c": Fraction(1, 4)}


def test_an_estimator_takes_the_place_of_the_simulation(study: tribute.Study) -> None:
    influence = study.attribute(QUERIES, method="gradient_dot")
    assert influence.influence_QS.shape == (24, 3)
    assert sum(study.value(influence, budget=1).shares().exact.values()) == 1


def test_an_attribution_becomes_a_data_frame(attribution: tribute.Attribution) -> None:
    frame = attribution.to_pandas().set_index("query_id")
    assert list(frame.columns) == ["a", "b", "c"]
    np.testing.assert_array_equal(frame.to_numpy(), attribution.influence_QS)


def test_a_study_that_is_not_trained_says_so() -> None:
    with pytest.raises(SimulationError, match=r"not trained yet. Call study.train\(\) first"):
        tribute.Study(TASK, BY_SOURCE, training=TRAINING).attribute(QUERIES)


def test_an_unknown_method_is_told_its_nearest_name(study: tribute.Study) -> None:
    with pytest.raises(ConfigError, match=r"Method 'ekfak' is unknown. Did you mean ekfac"):
        study.attribute(QUERIES, method="ekfak")


def test_settings_that_do_not_suit_a_method_are_refused(study: tribute.Study) -> None:
    with pytest.raises(ConfigError, match=r"Method paired cannot be used with these settings: .*options"):
        study.attribute(QUERIES, method="paired", options={"dimensions": 8})


def test_a_task_without_a_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="task is a Linear without build, training_loss, measurement"):
        tribute.Study(torch.nn.Linear(2, 2), BY_SOURCE)  # type: ignore[arg-type]


def test_a_task_that_does_not_fit_the_examples_is_refused() -> None:
    study = tribute.Study(tribute.Classifier(features=63, hidden=(8,)), BY_SOURCE, training=TRAINING)
    with pytest.raises(
        ConfigError, match=r"(?s)cannot be valued as it stands: .*training_loss fails: .*features .64."
    ):
        study.train()


class MeanLoss(tribute.Classifier):
    def training_loss(self, model, batch):
        return super().training_loss(model, batch).mean()


class Normalised(tribute.Classifier):
    def build(self):
        return torch.nn.Sequential(torch.nn.BatchNorm1d(64), super().build())


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (MeanLoss(features=64), r"training_loss returns shape \(\) for \d+ examples, expected \(\d+,\)"),
        (Normalised(features=64), "'running_mean' of BatchNorm1d '0'.*layer.eval"),
    ],
)
def test_a_task_that_cannot_be_trained_is_refused_before_training(
    task: tribute.Classifier, message: str, tmp_path: Path
) -> None:
    study = tribute.Study(task, BY_SOURCE, training=TRAINING, folder=tmp_path)
    with pytest.raises(ConfigError, match=message):
        study.train()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_queries_of_another_shape_are_refused(study: tribute.Study) -> None:
    narrow = {"features": QUERIES["features"][:, :3], "labels": QUERIES["labels"]}
    with pytest.raises(CorpusError, match=r"shape \(3,\) in the queries and \(64,\) in the examples"):
        study.attribute(narrow)


def test_an_attribution_of_another_study_is_refused(attribution: tribute.Attribution) -> None:
    other = {f"{source}-2": columns for source, columns in BY_SOURCE.items()}
    with pytest.raises(ConfigError, match="attribution is of sources a, b, c, the study of a-2"):
        tribute.Study(TASK, other, training=TRAINING).value(attribution)


def test_every_part_of_a_study_tells_how_far_it_is(tmp_path: Path) -> None:
    study = tribute.Study(TASK, BY_SOURCE, training=TRAINING, folder=tmp_path)
    noted = Noted()
    study.runs = replace(study.runs, reporter=noted)
    study.train()
    study.value(study.attribute(QUERIES), budget=2)
    study.attribute(QUERIES, method="gradient_dot")
    parts = {name: counts[-1] for name, counts in noted.parts.items() if counts}
    assert parts.keys() == {"trainings", "simulations", "read-outs", "fits", "units"}
    assert all(done == total > 0 for done, total in parts.values())
