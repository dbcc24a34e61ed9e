"""Lines and statements are found by their ids, and by what a statement prints: STATEMENT_ID:SOURCE_ID."""

from decimal import Decimal

import pytest

from tests.statements import EUROS, issue, line
from tests.unit.jobs.commanding import project_with
from tribute.config import Project, load_project
from tribute.errors import MoneyError
from tribute.royalty.statement import Pool, PublisherValue
from tribute_jobs.inquiries.lookup import find_issued

STATEMENT = "demo-2026-10-aurora-EUR-v1"
LONG = "x" * 900


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A statement of sources of which one is called like another's line, and one of a publisher with a colon."""
    rows = tuple(line(name, "1", "0", 10) for name in ("s", "answers:s", "notes", LONG))
    four, one = (Decimal(number) for number in (4, 1))
    publishers = [
        PublisherValue("aurora", "Aurora", four, four, four, four, rows),
        PublisherValue("a:b", "AB", one, one, one, one, rows[2:3]),
    ]
    statements = issue(publishers, [*EUROS, Pool("licences", "EUR", 100)])
    return load_project(project_with(tmp_path_factory.mktemp("lookup"), {"settle-1": statements}))


@pytest.mark.parametrize(
    ("about", "source"),
    [
        (f"{STATEMENT}:answers:notes", "notes"),
        (f"{STATEMENT}:answers:s", "s"),
        (f"{STATEMENT}:answers:answers:s", "answers:s"),
        ("demo-2026-10-a%3Ab-EUR-v1:licences:notes", "notes"),
    ],
)
def test_a_line_is_found_by_its_id_even_where_another_source_is_called_like_it(
    project: Project, about: str, source: str
) -> None:
    found = find_issued(project, about)
    assert found.line is not None
    assert (found.line.line_id, found.line.source_id) == (about, source)


def test_a_source_with_lines_in_two_pools_names_them(project: Project) -> None:
    with pytest.raises(
        MoneyError, match=f"has 2 lines. Name one of them: {STATEMENT}:answers:notes, {STATEMENT}:lic"
    ):
        find_issued(project, f"{STATEMENT}:notes")


def test_a_whole_statement_is_found_by_its_id(project: Project) -> None:
    assert find_issued(project, STATEMENT).line is None
    assert find_issued(project, "demo-2026-10-a%3Ab-EUR-v1").statement.publisher_id == "a:b"


def test_what_is_not_found_names_the_nearest_and_shows_little(project: Project) -> None:
    with pytest.raises(MoneyError, match=f"Did you mean .*{STATEMENT}"):
        find_issued(project, f"{STATEMENT}0")
    with pytest.raises(MoneyError) as raised:
        find_issued(project, f"{STATEMENT}:answers:{LONG}y")
    assert LONG[:81] not in str(raised.value)
