"""Estimators by name: their options, what they are, what they hold, and that dropout does not change them."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.estimators.small import influences, small_queries, small_training, sources, text_training
from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS, Estimator, build_estimator, largest_part

SMALL_IMAGES = {"patches": {"shape": [2, 2], "patch": 1}}
ON_FEATURES = [name for name in ESTIMATORS if name != "bm25"]


def test_an_unknown_estimator_or_option_is_told() -> None:
    with pytest.raises(ConfigError, match=r"Estimator 'magic' is unknown\. .* one of .*gradient_dot"):
        build_estimator("magic", {})
    with pytest.raises(ConfigError, match=r"has no option rate\. Its options: none"):
        build_estimator("gradient_dot", {"rate": 1})
    with pytest.raises(ConfigError, match=r"has no option rate\. Its options: damping, labels"):
        build_estimator("ekfac", {"damping": 1, "rate": 1})


@pytest.mark.parametrize(
    ("name", "option", "value", "told"),
    [
        ("tracin", "checkpoints", 2.5, "2.5\. Set it to a whole number"),
        ("tracin", "checkpoints", "3", "'3'\. Set it to a whole number"),
        ("trak", "models", 2.0, "2.0\. Set it to a whole number"),
        ("trak", "dimension", 0.5, "0.5\. Set it to a whole number or null"),
        ("trak", "entries", 1, "1\. Set it to a text"),
        ("patches", "shape", 28, "28\. Set it to a list of whole numbers"),
        ("patches", "shape", [28, 2.5], r"\[28, 2.5\]\. Set it to a list of whole numbers"),
        ("ekfac", "damping", "x", "'x'\. Set it to a number"),
        ("ekfac", "damping", math.nan, "nan\. Set it to a number"),
        ("ekfac", "labels", 2.0, "2.0\. Set it to a whole number or a text"),
        ("nearest", "k", True, "True\. Set it to a whole number"),
    ],
)
def test_an_option_of_another_type_is_told(name: str, option: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=f"^Estimator {name}: option {option} is {told}$"):
        build_estimator(name, {option: value})


def test_options_of_the_right_type_are_taken() -> None:
    damping = build_estimator("ekfac", {"damping": 1}).damping  # type: ignore[attr-defined]
    assert (damping, type(damping)) == (1.0, float)
    for name, of in ESTIMATORS.items():
        defaults = {each.name: each.default for each in fields(of)}  # type: ignore[arg-type]
        assert build_estimator(name, defaults) == build_estimator(name, {})


def test_every_estimator_says_in_a_sentence_of_its_own_what_it_is() -> None:
    first = [(of.__doc__ or "").split("\n\n")[0] for of in ESTIMATORS.values()]
    assert all("\n" not in line and line.endswith(".") and "I[" not in line for line in first)
    assert len(set(first)) == len(first)


def test_three_estimators_see_no_model() -> None:
    assert [name for name, of in ESTIMATORS.items() if of.model_free] == ["bm25", "nearest", "patches"]


@pytest.mark.parametrize("name", ON_FEATURES)
def test_dropout_changes_nothing_between_calls(name: str, tmp_path: Path) -> None:
    trained = small_training(tmp_path, task="tests.unit.tasks.own_task:DropoutClassifier")
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        estimator = build_estimator(name, SMALL_IMAGES.get(name, {}))
        found.append(influences(estimator, trained, sources(trained), small_queries()))
    assert torch.equal(*found) and (found[0] != 0).any()


def numbers_per_group(estimator: Estimator, trained: Any) -> int:
    """Numbers that are kept of a group: what two groups take more than one."""
    fitted = estimator.fit(trained)
    one, two = (estimator.gather(trained, fitted, sources(trained).part(0, count)).values() for count in (1, 2))
    return sum(tensor.numel() for tensor in two) - sum(tensor.numel() for tensor in one)


@pytest.mark.parametrize("name", ON_FEATURES)
def test_no_more_is_kept_than_is_said_to_be_held(name: str, tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    estimator = build_estimator(name, SMALL_IMAGES.get(name, {}))
    assert numbers_per_group(estimator, trained) <= max(1, estimator.numbers_per_group(trained))


def test_a_file_takes_what_fits_and_all_of_what_is_small(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    vector = 4 * trained.task.size / 2**30
    parts = {
        name: largest_part(SimulationSettings(mode=name, chunk=50, memory_gib=42 * vector), trained)
        for name in ("gradient_dot", "tracin", "in_run_first", "conjugate_gradient", "nearest", "for_value")
    }
    assert parts == {
        "gradient_dot": 42,
        "tracin": 3,
        "in_run_first": 4,
        "conjugate_gradient": 7,
        "nearest": len(trained.data),
        "for_value": 42 * trained.task.size // 16,
    }
    assert largest_part(SimulationSettings(mode="gradient_dot", chunk=3), trained) == 3
    assert largest_part(SimulationSettings(mode="tracin", memory_gib=vector), trained) == 1


def test_what_knows_no_model_is_small(tmp_path: Path) -> None:
    trained = text_training(tmp_path)
    assert largest_part(SimulationSettings(mode="bm25", chunk=1), trained) == len(trained.data)
