"""What the stage `value` says of its values."""

import json

import pytest

from tribute_jobs.stages.value import summary_of

WHY = "as the simulations under several seeds disagree"


@pytest.mark.parametrize(
    ("tokens", "trainings", "explained"),
    [(0.98, [], True), (0.2, [], False), (0.98, [{"seed": 0, "removed": ["a"]}], False)],
)
def test_values_mostly_by_token_count_say_why(tokens: float, trainings: list, explained: bool) -> None:
    row = {
        "expected_misallocation": 0.293,
        "shrinkage": tokens,
        "calibration": json.dumps({"trainings": trainings}),
    }
    told = summary_of([row, row])
    assert told.startswith(f"29.3% of the pool expected in the wrong place; 2 publishers, valued {tokens:.0%} by")
    assert (WHY in told) == explained
