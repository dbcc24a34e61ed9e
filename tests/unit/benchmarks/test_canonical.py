"""The published settings: retrainings side by side equal the product's, and the bank is what the plan says."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.benchmarks.canonical.command import BANK, asked_for, require_rows
from tests.benchmarks.canonical.making import described, differences, make, retrained
from tests.benchmarks.canonical.methods import HALVES, Estimated, Variant, estimated, simulated
from tests.benchmarks.canonical.networks import FileOrder, InFileOrder, Perceptron
from tests.benchmarks.canonical.removal import (
    against_random,
    chance,
    left_out,
    query_loss_differences,
    random_sets,
)
from tests.benchmarks.canonical.retraining import (
    alone,
    deleted,
    full_finals,
    in_place,
    initial_values,
    query_losses,
    trained,
)
from tests.benchmarks.canonical.rows import row
from tests.benchmarks.canonical.settings import LOGISTIC, PERCEPTRONS, PerceptronSetting, Plan
from tests.benchmarks.canonical.tables import retraining
from tribute.config import SimulationSettings
from tribute.evaluation.bank import RetrainBank, settings_in
from tribute.evaluation.bank_scores import bank_scores
from tribute.tasks import joined
from tribute.training import TrainingSet

EXAMPLES, QUERIES, FEATURES, CLASSES = 90, 12, 6, 3


def small_columns(part: str, count: int) -> dict[str, np.ndarray]:
    """Noisy points around one centre for each class."""
    rng = np.random.default_rng(len(part))
    labels = np.arange(count) % CLASSES
    centres = np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    features = centres[labels] + 0.7 * rng.normal(size=(count, FEATURES))
    return {"features": features.astype(np.float32), "labels": labels.astype(np.int64)}


def small(
    widths: tuple[int, ...] = (FEATURES, CLASSES), dropout: float = 0.0, momentum: float = 0.0
) -> PerceptronSetting:
    """A setting in the manner of the others, trained in milliseconds."""
    training = LOGISTIC.training.model_copy(update={"batch_size": 16, "epochs": 3.0, "momentum": momentum})
    return replace(
        LOGISTIC,
        name="small",
        task=Perceptron(widths, dropout),
        training=training.model_copy(update={"learning_rate": 0.1}),
        read=small_columns,
        examples=EXAMPLES,
        queries=QUERIES,
        plan=Plan(halves=12, runs=2, same=12, singles=8, exact=True, deleted=True),
    )


@pytest.mark.parametrize(
    ("widths", "dropout"),
    [((FEATURES, CLASSES), 0.0), ((FEATURES, 8, 5, CLASSES), 0.1), ((FEATURES, 8, 1), 0.0)],
)
def test_trainings_in_place_equal_those_of_the_product(widths: tuple[int, ...], dropout: float) -> None:
    setting = small(widths, dropout, 0.9)
    recipe = setting.recipe(3)
    recipe.data.columns["labels"][:] %= max(widths[-1], 2)
    kept_KN = np.random.default_rng(0).random((2, EXAMPLES)) < 0.5
    found_KP = trained(recipe, initial_values(recipe, [3, 3]), in_place(recipe, kept_KN))
    for found_P, kept_N in zip(found_KP, kept_KN, strict=True):
        weights = torch.from_numpy(kept_N).float()
        expected_P = joined(recipe.run(recipe.initial(), range(recipe.steps), weights).theta)
        assert torch.allclose(found_P, expected_P, atol=1e-6)
        columns = setting.query_columns | {"labels": setting.query_columns["labels"] % max(widths[-1], 2)}
        losses_1Q = query_losses(recipe, found_P[None], columns["features"], columns["labels"])
        batch = {name: torch.from_numpy(values) for name, values in columns.items()}
        assert torch.allclose(-losses_1Q[0], recipe.task.measure(expected_P, batch), atol=1e-5)


@pytest.mark.parametrize(("widths", "dropout"), [((FEATURES, CLASSES), 0.0), ((FEATURES, 8, CLASSES), 0.2)])
def test_a_deleted_example_moves_up_all_later_ones(widths: tuple[int, ...], dropout: float) -> None:
    recipe = small(widths, dropout, 0.5).recipe()
    left_out = [0, 17, EXAMPLES - 1]
    found_KP = trained(recipe, initial_values(recipe, [0] * 3), deleted(recipe, left_out))
    for found_P, example in zip(found_KP, left_out, strict=True):
        columns = {name: np.delete(values, example, 0) for name, values in recipe.data.columns.items()}
        data = TrainingSet(recipe.data.source_ids, np.delete(recipe.data.source_N, example), columns)
        assert torch.allclose(found_P, full_finals(replace(recipe, data=data)), atol=1e-6)


def test_a_half_alone_has_its_own_initial_values_order_and_dropout() -> None:
    recipe = small((FEATURES, 8, CLASSES), 0.2).recipe()
    kept_KM = np.stack([np.arange(40), np.arange(40), np.arange(40, 80)])
    seeds = [7, 8, 7]
    together = trained(recipe, initial_values(recipe, seeds), alone(recipe, kept_KM, seeds))
    for row_P, kept_M, seed in zip(together, kept_KM, seeds, strict=True):
        [by_itself] = trained(recipe, initial_values(recipe, [seed]), alone(recipe, kept_M[None], [seed]))
        assert torch.allclose(row_P, by_itself, atol=1e-6)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_a_half_alone_is_an_epoch_of_shuffled_batches() -> None:
    recipe = small().recipe()
    kept_M = np.arange(5, 45)
    [steps] = [list(alone(recipe, kept_M[None], [4]))]
    seen = torch.cat([step.index[0] for step in steps[:3]])
    assert len(steps) == 9
    assert sorted(seen.tolist()) == kept_M.tolist() != seen.tolist()
    assert all(torch.allclose(step.weight_KB.sum(1), torch.ones(1)) for step in steps)


def test_the_last_batch_of_the_file_is_smaller() -> None:
    order = FileOrder(10, 4)
    assert [order.micro_batches(step)[0].tolist() for step in (1, 2, 3)] == [[4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]


def test_a_bank_holds_the_plan_and_is_made_the_same_again(tmp_path) -> None:
    bank = make(small())
    counts = {kind: int((bank.kind_M == kind).sum()) for kind in set(bank.kind_M.tolist())}
    assert counts == {"half": 36, "leave_one_out": 8, "deleted": 8}
    assert bank.measured_MQ.dtype == np.float64
    bank.write(tmp_path)
    again = RetrainBank.read(tmp_path, "small")
    assert differences(again, make(small())) == pytest.approx((0.0, 1.0))
    with pytest.raises(ValueError, match="hold other retrainings"):
        differences(bank, make(replace(small(), plan=Plan(12, 2, 12, 7, exact=True, deleted=True))))


def test_retraining_a_half_is_judged_as_a_method_is() -> None:
    bank = make(small())
    own_M = bank.chosen("half") & (bank.seed_M == 0)
    score_KQ = np.stack([bank.measured_MQ[own_M][k] for k in range(12)])
    twice_KQ = bank.measured_MQ[bank.chosen("half") & ~own_M].reshape(2, 12, QUERIES).mean(0)
    expected = np.mean([spearmanr(score_KQ[:, q], twice_KQ[:, q]).statistic for q in range(QUERIES)])
    assert retraining(bank) == pytest.approx(expected)
    assert retraining(make(replace(small(), plan=Plan(4, 1, 0, 2)))) is None


def test_curvature_and_the_tangent_find_what_a_single_example_does() -> None:
    setting = small()
    bank = make(setting)
    variants = [Variant("ekfac"), Variant("ekfac", {}, "ekfac, 2 models", 2), Variant("patches")]
    one, two = estimated(setting, variants, [0, 1])
    scores = bank_scores(one.score_NQ.astype(float), bank)
    assert scores.lds_half_same_seed.value > 0.6
    assert two.prepare_in_trainings > 1 and one.prepare_in_trainings > 0
    assert two.stored_bytes == 2 * one.stored_bytes
    [tangent] = simulated(setting, 0, {"tangent": SimulationSettings(mode="tangent", horizon=1.0)})
    line = row(bank, tangent, peer=False)
    assert line["leave_one_out"]["value"] > 0.99 > scores.leave_one_out.value
    assert line["lds_half_other_seed"] is None


def test_rows_are_asked_for_by_names_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_for("ekfac")
    monkeypatch.setenv("METHOD", "ekfac; trak, 10 models")
    assert [asked_for(each) for each in ("ekfac", "trak, 10 models", "trak")] == [True, True, False]
    require_rows("mlp", {"ekfac", "trak, 10 models"})
    with pytest.raises(SystemExit, match=r"mlp has no METHOD trak, 10 models\. There are: ekfac, and none"):
        require_rows("mlp", {"ekfac"})
    monkeypatch.setenv("METHOD", "none")
    require_rows("mlp", set())
    assert not asked_for("ekfac")


def test_halves_weigh_models_with_and_without_an_example_alike() -> None:
    setting = small()
    recipe, queries = setting.recipe(), setting.query_columns
    variant = Variant("gradient_dot", {}, "gradient_dot, 2 models of halves", 2, halves=True)
    [found] = estimated(setting, [variant], [0, 1])
    order, parts = np.random.default_rng([HALVES, 0]).permutation(EXAMPLES), np.zeros((2, EXAMPLES, QUERIES))
    for number, kept in enumerate((order[: EXAMPLES // 2], order[EXAMPLES // 2 :])):
        kept_N = np.isin(np.arange(EXAMPLES), kept)
        columns = {name: values[kept_N] for name, values in recipe.data.columns.items()}
        part = TrainingSet(recipe.data.source_ids, recipe.data.source_N[kept_N], columns)
        theta_P = full_finals(replace(recipe, data=part, seed=HALVES + number))
        gradient_NP, gradient_QP = (gradients(recipe, theta_P, each) for each in (recipe.data.columns, queries))
        score_NQ = (gradient_NP @ gradient_QP.T).numpy()
        parts[0, kept_N], parts[1, ~kept_N] = score_NQ[kept_N], score_NQ[~kept_N]
    expected_NQ = (parts / parts.std((1, 2), keepdims=True)).sum(0)
    np.testing.assert_allclose(found.score_NQ, expected_NQ, atol=1e-4)
    assert found.whole and found.prepare_in_trainings > 0
    with pytest.raises(ValueError, match="3 models, expected an even number"):
        list(estimated(setting, [replace(variant, models=3)], [0]))


def gradients(recipe: InFileOrder, theta_P: torch.Tensor, columns: Mapping[str, np.ndarray]) -> torch.Tensor:
    """Gradient of the loss of every row, one after the other."""
    rows = []
    for n in range(len(columns["labels"])):
        batch = {name: torch.from_numpy(values[n : n + 1]) for name, values in columns.items()}
        rows.append(torch.func.grad(lambda at_P, batch=batch: recipe.task.losses(at_P, batch)[0])(theta_P))
    return torch.stack(rows)


def test_queries_lose_more_without_what_helps_them_most() -> None:
    setting = small()
    labels = setting.data.columns["labels"]
    helps = (labels[:, None] == setting.query_columns["labels"]) * (1.0 + (labels == 1))[:, None]
    assert np.flatnonzero(left_out(helps)).tolist() == [1]
    sets = [labels == 1, labels != 1, np.arange(EXAMPLES) == 1]
    found = query_loss_differences(sets, lambda kept_KN: retrained(setting, kept_KN), np.zeros((0, QUERIES)))
    more, most, one = found
    assert most.value > more.value > abs(one.value)
    assert more.low < more.value < more.high
    random_RQ = retrained(setting, ~random_sets(EXAMPLES))
    again = query_loss_differences(sets, lambda kept_KN: retrained(setting, kept_KN), random_RQ)
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_the_interval_of_a_removal_holds_what_random_ones_do() -> None:
    rng, worlds, effect = np.random.default_rng(0), 800, 0.1
    covered, by_queries, null = 0, 0, 0
    for _ in range(worlds):
        ease_Q, differs_Q, set_22 = rng.normal(size=50), rng.normal(scale=0.3, size=50), rng.normal(size=22)
        measured = ease_Q - differs_Q * 0.5 + 0.05 * set_22[:, None] + rng.normal(scale=0.02, size=(22, 50))
        taken_Q = measured[:1] - effect - differs_Q
        [found] = against_random(taken_Q, measured[2:])
        [nothing] = against_random(measured[1:2], measured[2:])
        error = (measured[2:].mean(0) - taken_Q)[0].std(ddof=1) / np.sqrt(50)
        covered += found.low < effect < found.high
        null += nothing.low < 0 < nothing.high
        by_queries += abs(found.value - effect) < 1.96 * error
    assert 0.93 < covered / worlds < 0.97 and 0.93 < null / worlds < 0.98
    assert by_queries / worlds < 0.8


def test_chance_is_how_far_one_more_random_set_lies() -> None:
    rng = np.random.default_rng(0)
    set_MR = rng.normal(size=(2000, 6))
    inside = [abs(row[0] - row[1:].mean()) < chance(np.repeat(row[1:, None], 3, 1)) for row in set_MR]
    assert 0.93 < np.mean(inside) < 0.97


def test_a_row_names_what_was_published_of_the_same_method() -> None:
    setting = small()
    bank = make(setting)
    score_NQ = np.random.default_rng(0).normal(size=(EXAMPLES, QUERIES))
    line = row(bank, Estimated("trak", score_NQ, 1.0, 2.0, None), peer=True)
    assert {figure["metric"]: figure["value"] for figure in line["published"]} == {
        "lds_half_other_seed": 0.415,
        "leave_one_out_deleted": 0.48,
    }
    assert line["lds_half_other_seed"]["low"] <= line["lds_half_other_seed"]["value"]
    assert row(bank, Estimated("nearest", score_NQ, 1.0, 2.0, None), peer=False)["published"] == []


def test_every_stored_bank_is_that_of_its_setting() -> None:
    listed = dict(reversed(line.split()) for line in (BANK / "SHA256SUMS").read_text().splitlines())
    there = {path.name: path.read_bytes() for path in BANK.iterdir() if path.name != "SHA256SUMS"}
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in there.items()}
    assert sum(map(len, there.values())) < 10_000_000
    assert "logistic" in settings_in(BANK)
    for name in sorted({*settings_in(BANK)} & {*PERCEPTRONS}):
        bank, setting = RetrainBank.read(BANK, name), PERCEPTRONS[name]
        assert bank.settings == described(setting)
        halves = bank.kept_MN[(bank.kind_M == "half") & (bank.seed_M != 0)][: setting.plan.halves]
        assert [np.flatnonzero(row).tolist() for row in halves] == setting.kept_halves.tolist()
