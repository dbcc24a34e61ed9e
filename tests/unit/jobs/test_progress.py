"""Progress messages of a run."""

import io

from rich.console import Console

from tribute_jobs.pipeline import AFTER, STAGES
from tribute_jobs.progress import STAGES as EXPLAINED
from tribute_jobs.progress import PeopleReporter


def test_a_stage_is_explained_before_its_result() -> None:
    console = Console(file=io.StringIO(), width=60)
    PeopleReporter(console).finished("train", "train-1", True, "3 trainings of 301 steps")
    explanation, result = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert explanation.split() == ["train", *EXPLAINED["train"].split()]
    assert result.split() == ["done", "3", "trainings", "of", "301", "steps", "train-1"]


def test_every_stage_of_the_pipeline_has_an_explanation() -> None:
    assert set(EXPLAINED) == {*STAGES, *AFTER}
