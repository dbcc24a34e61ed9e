"""`tribute diff`: two periods, or two versions of one, compared by their statements."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.statements import POOLS, revised, statements
from tests.unit.jobs.commanding import project_with, tribute
from tribute.royalty.document import Statement, read_statement

LARGER = [(currency, pool, 2 * gross) for currency, pool, gross in POOLS]


def version(number: int, **changes: Any) -> list[Statement]:
    renamed = [each.canonical().replace(b"-v1", f"-v{number}".encode()) for each in statements(**changes)]
    return [revised(read_statement(each), {"statement_version": number}) for each in renamed]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = {"september": statements("2026-09", seed=1), "first": version(1), "second": version(2, pools=LARGER)}
    return project_with(tmp_path_factory.mktemp("diff"), runs)


def test_versions_of_a_period_are_told_apart(project: Path) -> None:
    ran = tribute("diff", project, "2026-10:v1", "2026-10:v2")
    assert ran.code == 0
    assert ran.text.startswith("From 2026-10 version 1 (final) to 2026-10 version 2 (final)")
    found = json.loads(tribute("diff", project, "2026-10:v1", "2026-10:v2", "--json").text)
    for move in found["publishers"]:
        assert move["change_minor"] == move["after_minor"] - move["before_minor"]
        parts = [move[f"{name}_minor"] for name in ("usage", "measurements", "prior", "values", "terms")]
        assert sum(parts) + move["rounding_minor"] == move["change_minor"]
        assert move["terms_minor"] > 0 == sum(parts[:-1])
    assert any("the lake does not hold what valuation value-1 rests on" in note for note in found["notes"])


def test_a_period_stands_for_its_newest_version(project: Path) -> None:
    ran = tribute("diff", project, "2026-09", "2026-10")
    assert ran.text.startswith("From 2026-09 version 1 (final) to 2026-10 version 2 (final)")
    assert ran.text == tribute("diff", project, "2026-09:v1", "2026-10:v2").text


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("2026-10:v7", "has no version 7; it has 1, 2"),
        ("2026-11", "2026-11 is not settled"),
        ("2026-11:v1", "2026-11 is not settled"),
        ("2026-13", "is not a month"),
        ("2026-10:2", "neither a period"),
    ],
)
def test_what_is_not_settled_is_no_side(project: Path, side: str, message: str) -> None:
    for sides in ((side, "2026-10"), ("2026-10", side)):
        ran = tribute("diff", project, *sides)
        assert ran.code == 2 and message in ran.text
