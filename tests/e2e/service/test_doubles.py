"""Months that two runs issued: final ones are refused on every page and in every file, until one is reversed."""

from collections.abc import Callable

import pytest

from tests.e2e.closing import FIRST, SECOND
from tests.e2e.service.conftest import Shown
from tests.statements import revised
from tribute.config import Project
from tribute.errors import MoneyError
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version, read_period
from tribute_jobs.reversal import reverse
from tribute_jobs.service.views.formats import MonthFormat, StatementFormat, month_file, statement_file
from tribute_jobs.service.views.months import month_rows
from tribute_jobs.service.views.period import NOT_TOLD, period_view
from tribute_jobs.service.views.publisher import publisher_view
from tribute_jobs.service.views.quality import quality_view
from tribute_jobs.service.views.settled import find_statement, newest_statements, statement_list
from tribute_storage import Lake

AGAIN = "settle-ffffffffffff"


def issue_again(project: Project, period: str, more: int = 1) -> str:
    """Issue a month's newest version by another run, with `more` for everybody; the id of planet's statement."""
    statements = newest_statements(project, period, None).statements
    others = [revised(each, {"amount_minor": each.amount_minor + more}) for each in statements]
    commit(Lake(project.lake_root), Settlement(Version(AGAIN, tuple(others))))
    return next(each.statement_id for each in statements if each.publisher_id == "planet")


def test_a_version_that_two_runs_issued_as_final_is_shown_nowhere(fresh: Callable[[], Shown]) -> None:
    service = fresh()
    project, planets = service.project, month_rows(service.project, "planet")
    before = period_view(project, FIRST, None)
    statement_id = issue_again(project, FIRST)
    for asked in (
        lambda: newest_statements(project, FIRST, None),
        lambda: newest_statements(project, FIRST, "planet"),
        lambda: statement_list(project, FIRST, None),
        lambda: find_statement(project, statement_id, "planet"),
        lambda: statement_file(project, statement_id, StatementFormat.TEXT, None),
        lambda: month_rows(project, None),
        lambda: month_rows(project, "planet"),
        lambda: period_view(project, FIRST, None),
        lambda: publisher_view(project, "planet", SECOND),
        lambda: month_file(project, FIRST, MonthFormat.CSV),
    ):
        with pytest.raises(MoneyError, match=rf"issued twice as final, by runs .*{AGAIN}.* tribute reverse"):
            asked()
    page = service.client(service.operator).get(f"/periods/{FIRST}", headers={"Accept": "text/html"})
    assert page.status_code == 422 and "tribute reverse PROJECT.yaml" in page.text
    reverse(project, FIRST, AGAIN, "two folders closed the month")
    assert period_view(project, FIRST, None) == before
    assert month_rows(project, "planet") == planets


def test_the_next_month_says_that_the_month_before_was_issued_twice(fresh: Callable[[], Shown]) -> None:
    service = fresh()
    issue_again(service.project, FIRST)
    view = period_view(service.project, SECOND, None)
    assert view.moves is not None and AGAIN in view.moves.problem
    assert [each.subject for each in view.alarms if AGAIN in each.text] == [FIRST]
    own = period_view(service.project, SECOND, "planet")
    assert own.moves is not None and own.moves.problem == NOT_TOLD
    text = service.client(service.operator).get(f"/periods/{SECOND}").text
    assert "Who moved, and why" in text and text.count(AGAIN) == 2
    text = service.client(service.keys["planet"]).get(f"/periods/{SECOND}").text
    assert NOT_TOLD in text and AGAIN not in text


def test_quality_tells_what_was_issued_twice(fresh: Callable[[], Shown]) -> None:
    service = fresh()
    issue_again(service.project, FIRST)
    view = quality_view(service.project)
    assert {each.period for each in view.unlike} == {FIRST, SECOND}
    [wrong] = [each for each in view.examined if not each.fine]
    assert wrong.name == "months" and any(AGAIN in each for each in wrong.warnings)
    page = service.client(service.operator).get("/quality")
    assert page.status_code == 200 and AGAIN in page.text


def test_of_two_drafts_of_one_version_the_one_that_would_be_closed_is_shown(fresh: Callable[[], Shown]) -> None:
    project = fresh().project
    rows, months = statement_list(project, SECOND, None), month_rows(project, None)
    issue_again(project, SECOND, more=0)
    newest = read_period(project, SECOND).newest
    assert newest is not None and newest_statements(project, SECOND, None).run_id == newest.run_id == AGAIN
    assert statement_list(project, SECOND, None) == rows
    assert month_rows(project, None) == months
