"""Lakes in which two runs issued one version as final: earlier releases let two folders do that."""

import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from rich.console import Console

from tests.projects import write_project
from tests.statements import revised, statements
from tests.unit.jobs.commanding import tribute
from tests.unit.storage.rows import lone_valuation
from tribute.config import Project, load_project
from tribute.errors import MoneyError
from tribute.royalty.account import closing_statements, owed
from tribute.royalty.document import Statement
from tribute_jobs.context import Context, open_context
from tribute_jobs.inquiries.audit import verdict_with_project
from tribute_jobs.period.closing import close
from tribute_jobs.period.ledger import post, read_ledger
from tribute_jobs.period.proof import prove
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version, read_period, statement_folder
from tribute_jobs.progress import PeopleReporter
from tribute_jobs.reversal import double_finals, reverse
from tribute_storage import Lake, connect

MONTH = "2026-10"
WHY = "two folders closed the month"


def issued(gross: int, version: int = 1, month: str = MONTH) -> tuple[Statement, ...]:
    """A version of a month of two publishers, who share half of `gross`."""
    made = statements(month, ("aurora", "cassini-2"), 1, (("EUR", "advertising", gross),))
    ids = [each.statement_id.replace("-v1", f"-v{version}") for each in made]
    named = zip(made, ids, strict=True)
    return tuple(revised(each, {"statement_version": version, "statement_id": name}) for each, name in named)


def issue(project: Project, run_id: str, gross: int, version: int = 1, reason: str | None = None) -> None:
    """Commit a version without asking what came before, as earlier releases did."""
    commit(Lake(project.lake_root), Settlement(Version(run_id, issued(gross, version), reason)))


def opened(project: Project) -> AbstractContextManager[Context]:
    return open_context(project, PeopleReporter(Console(file=io.StringIO())))


def complete(project: Project) -> Version:
    """Post and sign the finals of the month, where that is not done."""
    with opened(project) as context:
        return close(context, read_period(project, MONTH), "value-1")


def sums(project: Project, view: str) -> list[tuple[int, int]]:
    """Amounts by version."""
    with connect(project.lake_root) as connection:
        return connection.execute(
            f"select statement_version, sum(amount_minor)::bigint from {view} group by 1 order by 1"
        ).fetchall()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The folder `here`, with an empty lake but for a valuation."""
    found = load_project(write_project(tmp_path / "here", name="demo"))
    Lake(found.lake_root).append("valuations", "value-1", lone_valuation("value-1"))
    return found


@pytest.fixture
def another(project: Project, tmp_path: Path) -> Project:
    """The folder `there`, on the same lake."""
    return load_project(write_project(tmp_path / "there", name="demo", lake=str(project.lake_root)))


def test_a_version_that_two_runs_issued_is_found_refused_and_reversed(project: Project) -> None:
    """2,000 were divided by the first run, 2,400 by the second."""
    issue(project, "settle-a", 2_000)
    assert double_finals(project) == []
    issue(project, "settle-b", 2_400)
    [double] = double_finals(project)
    assert [each.run_id for each in double.runs] == ["settle-a", "settle-b"]
    assert "version 1 of 2026-10 was issued 2 times" in double.problem
    assert "settle-a stands: it was committed first" in double.problem
    assert "tribute reverse PROJECT.yaml --period 2026-10 --run settle-b --reason WHY" in double.problem
    with pytest.raises(
        MoneyError, match=r"issued twice as final, by runs settle-a and settle-b, .* tribute reverse"
    ):
        read_period(project, "2026-11")
    reversal = reverse(project, MONTH, "settle-b", WHY)
    assert sum(each.void_minor - each.standing_minor for each in reversal.differences) == 200
    assert double_finals(project) == []
    assert [each.run_id for each in read_period(project, MONTH).own_final_versions] == ["settle-a"]
    assert sums(project, "statements") == [(1, 1_000)] and sums(project, "statement_lines") == [(1, 1_000)]
    assert sums(project, "history.statements") == [(1, 2_200)]


def test_the_other_run_may_be_reversed_while_neither_is_posted_or_signed(project: Project) -> None:
    for run_id, gross in (("settle-a", 2_000), ("settle-b", 2_400), ("settle-c", 2_600)):
        issue(project, run_id, gross)
    assert reverse(project, MONTH, "settle-a", WHY).standing.run_id == "settle-b"
    assert reverse(project, MONTH, "settle-c", WHY).standing.run_id == "settle-b"
    assert sums(project, "statements") == [(1, 1_200)]
    complete(project)
    assert sum(
        entry.postings[1].amount_minor for entry in read_ledger(project) if "earned" in entry.narration
    ) == (-1_200)


def test_what_was_posted_and_signed_stands(project: Project) -> None:
    issue(project, "settle-b", 2_400)
    complete(project)
    ledger = read_ledger(project)
    issue(project, "settle-a", 2_000)
    [double] = double_finals(project)
    assert double.runs[0].run_id == "settle-b" and "it was posted to the ledger and was signed" in double.problem
    with pytest.raises(MoneyError, match=r"settle-b stands: .* --run settle-a --reason WHY"):
        reverse(project, MONTH, "settle-b", WHY)
    reverse(project, MONTH, "settle-a", WHY)
    assert complete(project).run_id == "settle-b"
    assert read_ledger(project) == ledger
    assert verdict_with_project(statement_folder(project, MONTH, 1) / "bundle.json", None, project).problems == []


def test_a_bundle_of_the_void_run_gives_way_to_one_of_the_run_that_was_posted(
    project: Project, another: Project
) -> None:
    """One folder signed its statements, the other one posted its own."""
    issue(another, "settle-b", 2_400)
    with opened(another) as context:
        prove(context, Version("settle-b", issued(2_400)))
    issue(project, "settle-a", 2_000)
    post(Lake(project.lake_root), project, f"post-demo-{MONTH}", issued(2_000))
    [double] = double_finals(project)
    assert [(each.run_id, each.posted, each.bundle_run is not None) for each in double.runs] == [
        ("settle-a", True, False),
        ("settle-b", False, True),
    ]
    sent = (statement_folder(another, MONTH, 1) / "bundle.json").read_bytes()
    reverse(another, MONTH, "settle-b", WHY)
    assert complete(project).run_id == complete(another).run_id == "settle-a"
    bundle = statement_folder(project, MONTH, 1) / "bundle.json"
    assert verdict_with_project(bundle, None, project).problems == []
    aside = statement_folder(another, MONTH, 1).with_name(f"{MONTH}-v1-reversed-settle-b") / "bundle.json"
    assert aside.read_bytes() == sent, "what publishers were sent is kept"
    [found, *_] = verdict_with_project(aside, None, another).problems
    assert f"run settle-b was reversed: {WHY}" in found.message
    with connect(project.lake_root) as connection:
        bundles = "select count(*) from bundles union all select count(*) from history.bundles"
        assert connection.execute(bundles).fetchall() == [(1,), (2,)]


def test_a_restatement_that_was_issued_twice_is_owed_once(project: Project) -> None:
    issue(project, "settle-1", 2_000)
    complete(project)
    issue(project, "settle-a", 2_400, 2, "more was sold")
    issue(project, "settle-b", 3_000, 2, "more was sold")
    reverse(project, MONTH, "settle-b", WHY)
    final = read_period(project, "2026-11").final_statements()
    assert sum(each.amount_minor for each in closing_statements(final)) == 1_000
    carried = owed(final, "2026-11")
    assert sum(each.amount_minor for adjustments in carried.values() for each in adjustments) == 200


@pytest.fixture
def doubled(project: Project) -> Path:
    issue(project, "settle-a", 2_000)
    issue(project, "settle-b", 2_400)
    return project.workdir.parent / "project.yaml"


def test_the_command_shows_what_it_would_do_then_does_it_once(doubled: Path) -> None:
    shown = tribute("reverse", doubled, "--period", MONTH)
    assert shown.code == 0 and "--run settle-b --reason WHY" in shown.text.replace("\n  ", " ")
    assert json.loads(tribute("reverse", doubled, "--period", MONTH, "--json").text)["double_finals"] == [
        {"period": MONTH, "version": 1, "runs": ["settle-a", "settle-b"]}
    ]
    done = tribute("reverse", doubled, "--period", MONTH, "--run", "settle-b", "--reason", WHY)
    assert done.code == 0 and "run settle-b is void, run settle-a stands" in done.text
    assert "tribute close PROJECT.yaml --period 2026-10" in done.text
    again = tribute("reverse", doubled, "--period", MONTH, "--run", "settle-b", "--reason", "another reason")
    assert again.code == 0 and f"Run settle-b is reversed already: {WHY}." in again.text
    assert "issued once" in tribute("reverse", doubled, "--period", MONTH).text


@pytest.mark.parametrize("command", [("ledger", "check"), ("diff",), ("publish",)], ids=" ".join)
def test_commands_on_such_a_lake_name_the_remedy(doubled: Path, command: tuple[str, ...]) -> None:
    sides = (f"{MONTH}:v1", MONTH) if command == ("diff",) else ()
    found = tribute(*command, doubled, *sides)
    assert found.code == 2 and "tribute reverse PROJECT.yaml --period 2026-10" in found.text


def test_a_query_is_answered_with_a_warning(doubled: Path) -> None:
    asked = tribute("sql", doubled, "select count(distinct run_id) from history.statements")
    assert asked.code == 0 and "2" in asked.text and "tribute reverse PROJECT.yaml --period 2026-10" in asked.text


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(MoneyError) as refused:
        act()
    return str(refused.value)


def test_what_cannot_be_reversed_is_refused(project: Project) -> None:
    issue(project, "settle-a", 2_000)
    assert "has no reason" in refusal(lambda: reverse(project, MONTH, "settle-a", " "))
    assert "was issued once" in refusal(lambda: reverse(project, MONTH, "settle-a", WHY))
    issue(project, "settle-b", 2_400)
    assert "--run settle-b" in refusal(lambda: reverse(project, MONTH, "settle-x", WHY))
    assert "was issued once" in refusal(lambda: reverse(project, "2026-11", "settle-b", WHY))
