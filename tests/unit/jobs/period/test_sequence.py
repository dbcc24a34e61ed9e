"""The order in which months may be settled and closed."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.statements import revised, statements
from tests.unit.jobs.commanding import lake_of, project_with
from tests.unit.storage.rows import any_rows
from tribute.config import Project, load_project
from tribute.errors import MoneyError
from tribute_jobs.period.sequence import require_order
from tribute_storage import SCHEMAS


def project_of(folder: Path, closed: str = "", drafts: str = "", quiet: str = "") -> Project:
    """A lake whose months are settled as said; `closed` and `drafts` hold months of 2026.

    Args:
        quiet: those of them that have no queries.
    """
    versions = {}
    for status, months in (("final", closed), ("draft", drafts)):
        for month in months.split():
            own = statements(f"2026-{month}", ("a",), 1, (("EUR", "pool", 200),))
            versions[f"settle-{month}"] = [revised(each, {"status": status}) for each in own]
    path = project_with(folder, versions)
    asked = sorted({*closed.split(), *drafts.split()} - {*quiet.split()})
    rows = [row | {"run_id": "r", "period": f"2026-{m}"} for m in asked for row in any_rows("queries").to_pylist()]
    lake_of(path).append("queries", "r", pa.Table.from_pylist(rows, SCHEMAS["queries"]))
    return load_project(path)


@pytest.mark.parametrize(
    ("closed", "drafts", "month"),
    [
        ("", "", "05"),
        ("03", "", "04"),
        ("", "03 04", "05"),
        ("03", "04", "05"),
        ("03 06", "", "07"),
        ("03", "", "03"),
    ],
)
def test_a_month_may_be_settled_when_none_was_left_out(
    tmp_path: Path, closed: str, drafts: str, month: str
) -> None:
    """What was left out before the last closed month is past mending."""
    require_order(project_of(tmp_path, closed, drafts), f"2026-{month}", "settle")


@pytest.mark.parametrize(
    ("closed", "drafts", "said"),
    [
        ("03", "", r"2 of them were never settled: 2026-04, 2026-05\. .*--period 2026-04$"),
        ("03", "05", r"1 of them was never settled: 2026-04\. .*--period 2026-04$"),
        ("", "04", r"never settled: 2026-05\. .*If 2026-04 was only a trial"),
        ("07", "05", "Period 2026-07 is closed and .* can no longer be settled"),
    ],
)
def test_a_month_is_not_settled_after_a_gap_or_before_a_closed_one(
    tmp_path: Path, closed: str, drafts: str, said: str
) -> None:
    with pytest.raises(MoneyError, match=said):
        require_order(project_of(tmp_path, closed, drafts), "2026-06", "settle")


@pytest.mark.parametrize("step", ["settle", "close"])
def test_a_draft_of_a_mistyped_month_is_no_beginning(tmp_path: Path, step: str) -> None:
    """Nothing was asked in January, which was settled instead of May."""
    project = project_of(tmp_path, drafts="01 05 06", quiet="01")
    require_order(project, "2026-05", step)
    require_order(project, "2026-06", "settle")
    with pytest.raises(MoneyError, match=r"1 of them was never settled: 2026-07\. .*If 2026-05 was only a trial"):
        require_order(project, "2026-08", "settle")


def test_a_month_without_queries_begins_the_accounts_once_it_is_closed(tmp_path: Path) -> None:
    quiet = project_of(tmp_path / "draft", drafts="01", quiet="01")
    require_order(quiet, "2026-05", "settle")
    closed = project_of(tmp_path / "closed", closed="01", quiet="01")
    with pytest.raises(MoneyError, match=r"never settled: 2026-02, 2026-03, 2026-04\. "):
        require_order(closed, "2026-05", "settle")


def test_a_month_without_queries_after_the_first_one_is_not_left_out(tmp_path: Path) -> None:
    project = project_of(tmp_path, drafts="03 04", quiet="04")
    with pytest.raises(MoneyError, match="Period 2026-03 is settled and not closed"):
        require_order(project, "2026-04", "close")
    with pytest.raises(MoneyError, match=r"never settled: 2026-05\. "):
        require_order(project, "2026-06", "settle")


def test_a_far_month_names_the_gap_by_its_ends(tmp_path: Path) -> None:
    with pytest.raises(MoneyError, match="426 of them were never settled: 2026-04 to 2061-09"):
        require_order(project_of(tmp_path, "03"), "2061-10", "settle")


def test_a_month_is_closed_when_it_was_settled_and_all_before_it_are_closed(tmp_path: Path) -> None:
    project = project_of(tmp_path, drafts="03 04")
    require_order(project, "2026-03", "close")
    with pytest.raises(MoneyError, match=r"Period 2026-03 is settled and not closed.*--period 2026-03"):
        require_order(project, "2026-04", "close")
    with pytest.raises(MoneyError, match="Period 2026-05 is not settled, so nobody has seen"):
        require_order(project, "2026-05", "close")
