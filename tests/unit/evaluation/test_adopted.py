"""What is said of an evaluation of recordings and checkpoints."""

from typing import Any

import pytest

from tests.unit.evaluation.test_certificate import figures, text_of
from tribute.evaluation import adopted_warnings
from tribute.evaluation.certificate import render_certificate
from tribute.evaluation.figures import Certificate, RetrainCounts

COUNTS = {"seeds": [0, 1], "leave_one_out": 8, "half": 6, "tenth": 4, "other": 0, "banked": 3, "new": 15}


def counts(**changes: Any) -> RetrainCounts:
    return RetrainCounts(**(COUNTS | changes))


def page(**changes: Any) -> str:
    return text_of(render_certificate(figures(retrains=COUNTS | changes)))


@pytest.mark.parametrize(
    ("changes", "whole", "told"),
    [
        ({}, True, []),
        ({"repetition": "replayed", "drift": 1e-6}, False, []),
        ({"repetition": "replayed", "drift": 0.2}, False, ["ends 0.2 of the way from its recording"]),
        ({"repetition": "replayed", "drift": None}, True, ["compare it with itself"]),
        (
            {"repetition": "continued", "steps": 1200},
            False,
            ["what a source did before it is not taken out. Its further trainings had 1,200 steps"],
        ),
    ],
)
def test_warnings_name_what_trainings_of_adopted_models_cannot_say(
    changes: dict[str, Any], whole: bool, told: list[str]
) -> None:
    found = adopted_warnings(counts(**changes), whole=whole)
    assert len(found) == len(told)
    assert all(part in warning for part, warning in zip(told, found, strict=True))


def test_a_certificate_says_that_recordings_were_replayed() -> None:
    text = page(repetition="replayed", drift=3e-7)
    assert "The 2 recorded training(s) were replayed from their first step" in text
    assert "the replays end within 3e\N{MINUS SIGN}07 of the way" in text and "the second recording judges" in text
    assert "One recording for another" in text and "really trained again" not in text
    alone = page(repetition="replayed", seeds=[0])
    assert "With one recording nothing is judged by another seed." in alone and "end within" not in alone


def test_a_certificate_says_that_a_checkpoint_was_trained_further() -> None:
    text = page(repetition="continued", steps=200)
    assert "Only a checkpoint was known. It was trained further for 200 steps" in text
    assert "really trained again" not in text


def test_an_earlier_certificate_was_of_a_model_that_was_trained_again() -> None:
    content = figures(retrains=COUNTS).json_text().replace('"repetition": "retrained", ', "")
    assert "repetition" not in content
    assert Certificate.model_validate_json(content).retrains.repetition == "retrained"
    assert "The model was really trained again without known sources, with seeds 0, 1" in page()
