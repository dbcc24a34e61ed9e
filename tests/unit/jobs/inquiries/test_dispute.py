"""`tribute dispute`: events that are appended once and never changed."""

import json
from pathlib import Path

import pytest

from tests.statements import statements
from tests.unit.jobs.commanding import lake_of, project_with, tribute
from tribute_storage import open_tables

LINE = "demo-2026-10-aurora-EUR-v1:advertising:source-0"
WHOLE = "demo-2026-09-aurora-EUR-v1"
WRONG = ("--type", "amount", "--text", "  Half of what we measured.  ")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    months = {f"settle-{month}": statements(f"2026-{month}") for month in ("09", "10")}
    return project_with(tmp_path, months)


def opened(project: Path, *arguments: str) -> dict:
    return json.loads(tribute("dispute", "open", project, *(arguments or (LINE, *WRONG)), "--json").text)


def events(project: Path) -> list[dict]:
    with open_tables(lake_of(project).root) as connection:
        return connection.sql("from disputes order by time").to_arrow_table().to_pylist()


def test_a_dispute_is_opened_once_and_names_line_publisher_and_month(project: Path) -> None:
    first, again = opened(project), opened(project)
    assert first["new"] and not again["new"] and first["dispute_id"] == again["dispute_id"]
    [event] = events(project)
    assert (event["event"], event["publisher_id"], event["period"]) == ("opened", "aurora", "2026-10")
    assert (event["statement_id"], event["line_id"]) == (LINE.partition(":")[0], LINE)
    assert event["discrepancy_description"] == "Half of what we measured." and event["action_taken"] == ""
    assert "is open already" in tribute("dispute", "open", project, LINE, *WRONG).text


def test_a_whole_statement_and_a_field_of_it_may_be_contested(project: Path) -> None:
    found = opened(project, WHOLE, *WRONG, "--field", "balance.amount_paid_minor")
    assert (found["statement_id"], found["line_id"], found["period"]) == (WHOLE, "", "2026-09")
    assert found["discrepant_cell_name"] == "balance.amount_paid_minor"


def test_resolving_appends_what_was_done_and_does_so_once(project: Path) -> None:
    dispute_id = opened(project)["dispute_id"]
    assert "is resolved" in tribute("dispute", "resolve", project, dispute_id, "--action", "Restated.").text
    assert "already" in tribute("dispute", "resolve", project, dispute_id, "--action", "Restated. ").text
    assert [(e["event"], e["action_taken"]) for e in events(project)] == [
        ("opened", ""),
        ("resolved", "Restated."),
    ]
    other = tribute("dispute", "resolve", project, dispute_id, "--action", "Nothing.")
    assert other.code == 2 and "was resolved on" in other.text and "Restated." in other.text
    reopened = tribute("dispute", "open", project, LINE, *WRONG)
    assert reopened.code == 2 and "still wrong" in reopened.text
    assert len(events(project)) == 2


def test_the_list_shows_the_open_ones_first_with_their_age(project: Path) -> None:
    done = opened(project)["dispute_id"]
    tribute("dispute", "resolve", project, done, "--action", "Explained by mail.")
    still = opened(project, WHOLE, "--type", "rights", "--text", "Ours since May.")["dispute_id"]
    ran = tribute("dispute", "list", project)
    assert ran.text.index(f"{still}  open for 0 days") < ran.text.index(f"{done}  resolved after 0 days")
    assert "Done: Explained by mail." in ran.text and ran.text.endswith("\n1 open, 1 resolved\n")
    rows = json.loads(tribute("dispute", "list", project, "--json").text)
    assert [(each["dispute_id"], each["state"], each["days"]) for each in rows] == [
        (still, "open", 0),
        (done, "resolved", 0),
    ]
    september = json.loads(tribute("dispute", "list", project, "--period", "2026-09", "--json").text)
    assert [each["dispute_id"] for each in september] == [still]
    assert "0 open, 0 resolved" in tribute("dispute", "list", project, "--period", "2026-01").text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LINE + "x", *WRONG), f"Did you mean {LINE}"),
        ((LINE, "--type", "amounts", "--text", "x"), "Did you mean amount?"),
        ((LINE, "--type", "amount", "--text", " "), "Say what is wrong"),
        ((LINE, *WRONG, "--field", "amount_miner"), "Did you mean amount_minor?"),
        ((WHOLE, *WRONG, "--field", "balance.paid"), "--field 'paid' is unknown"),
        ((WHOLE, *WRONG, "--field", "amount.x"), "none here"),
    ],
)
def test_what_cannot_be_contested_is_refused(project: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = tribute("dispute", "open", project, *arguments)
    assert ran.code == 2 and message in ran.text and events(project) == []


def test_an_unknown_dispute_or_an_empty_action_is_refused(project: Path) -> None:
    dispute_id = opened(project)["dispute_id"]
    near = tribute("dispute", "resolve", project, dispute_id[:-1], "--action", "x")
    assert near.code == 2 and f"Did you mean {dispute_id}?" in near.text
    assert tribute("dispute", "resolve", project, "nothing", "--action", "x").code == 2
    assert "Say what was done" in tribute("dispute", "resolve", project, dispute_id, "--action", " ").text
    assert "not a month" in tribute("dispute", "list", project, "--period", "October").text
