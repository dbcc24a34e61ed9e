"""Restatements of a closed month that change something."""

from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest

from tests.statements import revised, statements
from tests.unit.jobs.commanding import lake_of, project_with
from tribute.config import load_project
from tribute.royalty.document import Statement
from tribute_jobs.period.closing import moves
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version, read_period
from tribute_storage import LakeConflict

MONTH = "2026-10"
CORRECTED = "the contract was overlooked"


def made(version: int, period: str = MONTH, gross: int = 200, **terms: object) -> list[Statement]:
    """A version of a month of one publisher, which is allocated half of `gross`."""
    pools = (("EUR", "advertising", gross),)
    issued = statements(period, ("a",), 1, pools, {"a": terms})
    return [
        revised(each, {"statement_version": version, "statement_id": f"{period}-v{version}"}) for each in issued
    ]


def moved(*versions: list[Statement]) -> bool:
    """Whether the last version changes anything compared with those before it."""
    *before, last = versions
    final = [(each, CORRECTED if number else None) for number, version in enumerate(before) for each in version]
    return moves(final, before[-1], Version("settle-x", tuple(last), CORRECTED))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, False),
        ({}, {"gross": 240}, True),
        ({"rate": F(1)}, {"rate": F(1, 2)}, True),
        ({"guarantee_minor": 150}, {"guarantee_minor": 170}, True),
        ({"guarantee_minor": 150}, {"guarantee_minor": 150}, False),
        ({"guarantee_minor": 50}, {"guarantee_minor": 70}, False),
        ({"guarantee_minor": 150}, {"guarantee_minor": 150, "gross": 240}, True),
        ({}, {"threshold_minor": 9}, False),
    ],
)
def test_a_restatement_moves_what_is_allocated_or_owed(
    before: dict[str, Any], after: dict[str, Any], expected: bool
) -> None:
    """100 are allocated; a guarantee counts where it is above what is earned, and a higher pool even then."""
    assert moved(made(1, **before), made(2, **after)) is expected


def test_a_second_restatement_is_compared_with_the_first() -> None:
    first, second = made(1, guarantee_minor=150), made(2, guarantee_minor=170)
    assert not moved(first, second, made(3, guarantee_minor=170))
    assert moved(first, second, made(3, guarantee_minor=150)), "it takes back what the second gave"


def test_a_publisher_that_comes_without_money_moves_nothing() -> None:
    added = [revised(each, {"publisher_id": "b"}) for each in made(2, gross=0)]
    assert not moved(made(1), made(2) + added)


def test_of_two_folders_that_restate_a_month_on_one_lake_one_is_refused(tmp_path: Path) -> None:
    path = project_with(tmp_path, {"settle-1": made(1)})
    project, lake = load_project(path), lake_of(path)
    here, there = read_period(project, MONTH), read_period(project, MONTH)
    commit(lake, Settlement(Version("settle-2", tuple(made(2, gross=240)), CORRECTED)), here.basis)
    with pytest.raises(LakeConflict, match=r"another process committed settle-2 at .* Run the same command again"):
        commit(lake, Settlement(Version("settle-2b", tuple(made(2, gross=280)), CORRECTED)), there.basis)
    versions = read_period(project, MONTH).own_final_versions
    assert [(each.run_id, each.number) for each in versions] == [("settle-1", 1), ("settle-2", 2)]
