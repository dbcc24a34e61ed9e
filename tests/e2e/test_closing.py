"""Closing is final: it happens once despite crashes, is proven, and is corrected by later versions."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from beancount import loader

from tests.e2e.closing import (
    AGREEMENTS,
    EARLIER,
    FIRST,
    REASON,
    SECOND,
    change_rights,
    copied,
    everything,
    work,
)
from tests.e2e.dying import Dying
from tribute.catalog import Valuation, read_valuation
from tribute.config import Project, load_project
from tribute.errors import MoneyError, PolicyError
from tribute.royalty.account import balances, beancount
from tribute.royalty.document import Adjustment
from tribute.royalty.proof import verify_bundle, verify_statement
from tribute.royalty.statement import Books
from tribute_jobs.inquiries.policy import register
from tribute_jobs.period.accounts import read_books
from tribute_jobs.period.ledger import read_ledger
from tribute_jobs.period.settlement import Settlement, settlement
from tribute_jobs.period.statements import latest_statements, read_period, statement_folder, statements_of_version
from tribute_storage import Lake, open_tables


@pytest.fixture(scope="module")
def settled(settled_folder: Path) -> Project:
    """October and November are settled."""
    return load_project(settled_folder / "project.yaml")


@pytest.fixture(scope="module")
def closed(settled: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """October is closed."""
    project = copied(settled, tmp_path_factory.mktemp("closing") / "closed")
    assert work(project, FIRST, "close").changed
    return project


@pytest.fixture(scope="module")
def restated(closed: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """October is closed and restated with other rights, November settled again and closed."""
    project = copied(closed, tmp_path_factory.mktemp("closing") / "restated")
    change_rights(project)
    work(project, FIRST, "restate", REASON)
    work(project, SECOND)
    work(project, SECOND, "close")
    return project


def file_of(project: Project) -> Path:
    return project.workdir.parent / "project.yaml"


def folder_of(project: Project, period: str) -> Path:
    """The files of a month's newest version."""
    return statement_folder(project, period, latest_statements(project, period)[0].statement_version)


def test_closing_issues_the_draft_as_a_final_version(closed: Project) -> None:
    draft, final = (statements_of_version(closed, FIRST, version) for version in (1, 2))
    assert {each.status for each in draft} == {"draft"}
    assert {each.status for each in final} == {"final"}
    assert [each.lines[0].amount_minor for each in draft] == [each.lines[0].amount_minor for each in final]
    assert {(each.publisher_id, each.currency) for each in final} == {
        (publisher, currency) for publisher in ("arena", "kitchen", "planet") for currency in ("EUR", "JPY")
    }
    assert sum(each.amount_minor for each in final if each.currency == "JPY") == 50_001
    assert sum(each.amount_minor for each in final if each.currency == "EUR") == round(90_001 / 2) + 3_300


def test_closing_again_and_running_again_change_nothing(closed: Project) -> None:
    before = everything(closed)
    assert not work(closed, FIRST, "close").changed
    assert not work(closed, FIRST).changed
    assert everything(closed) == before


def test_a_closed_month_stays_as_it_is_when_rights_change(closed: Project, tmp_path: Path) -> None:
    project = copied(closed, tmp_path / "changed")
    change_rights(project)
    (_, files), entries = everything(project), read_ledger(project)
    outcome = work(project, FIRST)
    assert outcome.outputs["value"].new and not outcome.outputs["settle"].new
    work(project, FIRST, "close")
    assert everything(project)[1] == files
    assert read_ledger(project) == entries


@pytest.mark.slow
def test_killed_anywhere_in_closing_it_ends_with_the_same_bytes(
    settled: Project, closed: Project, tmp_path: Path, dying: Dying
) -> None:
    project = copied(settled, tmp_path / "killed")
    points = ("statements", "ledger", "planet-EUR.pdf", "bundles")
    close = ("close", file_of(project), "--period", FIRST)
    assert [point for point in points if dying.killed_before(point, *close)] == list(points)
    work(project, FIRST, "close")
    assert everything(project) == everything(closed)


@pytest.mark.slow
def test_killed_in_restating_it_is_completed_by_the_same_command(
    closed: Project, tmp_path: Path, dying: Dying
) -> None:
    project = copied(closed, tmp_path / "killed")
    change_rights(project)
    restate = ("restate", file_of(project), "--period", FIRST, "--reason", REASON)
    assert dying.killed_before("bundle.json", *restate)
    assert not (folder_of(project, FIRST) / "bundle.json").exists()
    work(project, FIRST, "restate", REASON)
    assert verify_bundle((folder_of(project, FIRST) / "bundle.json").read_bytes()) == []
    assert latest_statements(project, FIRST)[0].statement_version == 3
    before = everything(project)
    work(project, FIRST, "restate", REASON)
    assert everything(project) == before, "the same command once more is done already"
    with pytest.raises(MoneyError, match="would change no amount of version 3"):
        work(project, FIRST, "restate", "another reason")


def test_a_month_that_was_closed_by_half_is_posted_before_it_is_restated(
    settled: Project, tmp_path: Path, dying: Dying
) -> None:
    project = copied(settled, tmp_path / "half")
    assert dying.killed_before("ledger", "close", file_of(project), "--period", FIRST)
    assert read_ledger(project) == []
    change_rights(project)
    work(project, FIRST, "restate", REASON)
    assert {entry.statement_id for entry in read_ledger(project)} == {
        each.statement_id for each in statements_of_version(project, FIRST, 2) if each.balance.royalty_earned_minor
    }


def test_months_are_closed_in_order(settled: Project, closed: Project, tmp_path: Path) -> None:
    with pytest.raises(MoneyError, match=f"Period {FIRST} is settled and not closed.*--period {FIRST}"):
        work(copied(settled, tmp_path / "early"), SECOND, "close")
    with pytest.raises(
        MoneyError, match=f"Period {FIRST} is closed and did not open with the balances of {EARLIER}"
    ):
        work(closed, EARLIER)


def test_no_month_is_left_out(settled: Project, closed: Project, tmp_path: Path) -> None:
    with pytest.raises(MoneyError, match=r"2 of them were never settled: 2026-12, 2027-01\. .*--period 2026-12"):
        work(settled, "2027-02")
    with pytest.raises(MoneyError, match="1 of them was never settled: 2026-12"):
        work(settled, "2027-01", "close")
    with pytest.raises(MoneyError, match="Period 2026-12 is not settled, so nobody has seen"):
        work(copied(closed, tmp_path / "unseen"), "2026-12", "close")


def edit(project: Project, **sections: object) -> Project:
    """The project with other sections in its project.yaml."""
    path = project.workdir.parent / "project.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))
    return load_project(path)


def change(project: Project, what: str) -> Project:
    """Change something that a settlement rests on."""
    folder = project.workdir.parent
    if what == "rights":
        change_rights(project)
    elif what == "pools":
        return edit(project, pools=yaml.safe_load((folder / "project.yaml").read_text())["pools"][:2])
    elif what == "agreements":
        (folder / "agreements.csv").write_text(AGREEMENTS.replace("7/8", "3/4"))
    else:
        usage = (folder / "usage.jsonl").read_text().splitlines(keepends=True)
        (folder / "usage.jsonl").write_text("".join(row for row in usage if "q001-2026-10" not in row))
    return project


@pytest.mark.slow
def test_what_changed_since_the_draft_is_settled_again_before_it_is_closed(
    settled: Project, tmp_path: Path
) -> None:
    project = copied(settled, tmp_path / "changed")
    for version, what in enumerate(("rights", "pools", "agreements", "values"), start=1):
        project = change(project, what)
        drafts = latest_statements(project, FIRST)
        with pytest.raises(MoneyError, match=f"draft, version {version}: since then, the {what} changed"):
            work(project, FIRST, "close")
        assert latest_statements(project, FIRST) == drafts and read_ledger(project) == []
        work(project, FIRST)
    work(project, FIRST, "close")
    assert latest_statements(project, FIRST)[0].statement_version == 6


def test_a_draft_that_opened_before_the_month_before_was_closed_is_settled_again(
    closed: Project, tmp_path: Path
) -> None:
    project = copied(closed, tmp_path / "stale")
    with pytest.raises(MoneyError, match="the accounts that earlier months left changed"):
        work(project, SECOND, "close")
    work(project, SECOND)
    assert work(project, SECOND, "close").changed


def november(project: Project) -> Settlement:
    """What closing the second month would issue."""
    value_run = latest_statements(project, SECOND)[0].value_run
    rows = read_valuation(Lake(project.lake_root), value_run)
    return settlement(read_period(project, SECOND), Valuation(value_run, SECOND, rows, False), final=True)


def test_a_file_that_is_edited_while_it_is_settled_by_is_refused(
    settled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copied(settled, tmp_path / "edited")
    path = project.workdir.parent / "agreements.csv"

    def edited_when_read(*arguments: Any) -> Books:
        books = read_books(*arguments)
        path.write_text(AGREEMENTS.replace("7/8", "3/4"))
        return books

    monkeypatch.setattr("tribute_jobs.period.settlement.read_books", edited_when_read)  # an edit while settling
    with pytest.raises(MoneyError, match=r"^agreements.csv, which rights.agreements names, changed during the"):
        november(project)


def test_other_words_in_a_file_that_change_no_amount_are_another_run(settled: Project, tmp_path: Path) -> None:
    """So that a settlement that was cut short keeps no file but the one it goes on with."""
    project = copied(settled, tmp_path / "reworded")
    before = november(project)
    (project.workdir.parent / "agreements.csv").write_text(AGREEMENTS.replace("7/8", "0.875"))
    after = november(project)
    assert after.version.statements == before.version.statements
    assert after.version.run_id != before.version.run_id
    assert after.files != before.files and november(project).version.run_id == after.version.run_id


def test_a_restatement_is_the_next_version_and_names_the_one_it_replaces(restated: Project) -> None:
    before, after = (statements_of_version(restated, FIRST, version) for version in (2, 3))
    assert {each.supersedes_statement_id for each in after} == {each.statement_id for each in before}
    assert {each.status for each in after} == {"final"}
    with open_tables(restated.lake_root) as lake:
        reasons = lake.execute(
            "select distinct statement_version, reason from statements where period = $1", [FIRST]
        )
        assert set(reasons.fetchall()) == {(1, None), (2, None), (3, REASON)}


def test_the_next_month_carries_what_the_restatement_moved(restated: Project) -> None:
    """Version 3 minus version 2, of what was earned; between publishers it sums to nothing but Planet's yen."""
    earned = {
        (each.publisher_id, each.currency, version): each.balance.royalty_earned_minor
        for version in (2, 3)
        for each in statements_of_version(restated, FIRST, version)
    }
    ids = {(each.publisher_id, each.currency): each.statement_id for each in _closing(restated)}
    for each in latest_statements(restated, SECOND):
        key = each.publisher_id, each.currency
        difference = earned[*key, 3] - earned[*key, 2]
        expected = Adjustment(reason=REASON, adjusts_statement_id=ids[key], amount_minor=difference)
        assert each.balance.adjustments == ((expected,) if difference else ())
    assert earned["kitchen", "EUR", 3] > earned["kitchen", "EUR", 2]


def _closing(project: Project) -> list[dict]:
    return statements_of_version(project, FIRST, 2)


def test_the_ledger_holds_both_months_and_their_closing_balances(restated: Project) -> None:
    entries = read_ledger(restated)
    adjusted = [entry for entry in entries if entry.narration.endswith(REASON)]
    carried = [each for each in latest_statements(restated, SECOND) if each.balance.adjustments]
    assert len(adjusted) == len(carried) > 0
    found = balances(entries)
    for each in latest_statements(restated, SECOND):
        account = f"Liabilities:Publishers:{each.publisher_id}", each.currency
        assert found.get(account, 0) == -each.balance.closing_balance_minor
    assert found["Liabilities:Publishers:kitchen", "EUR"] < 0
    _, errors, _ = loader.load_string(beancount(entries))
    assert errors == []


def test_a_second_closing_after_a_restatement_changes_nothing(restated: Project) -> None:
    before = everything(restated)
    for period in (FIRST, SECOND):
        assert not work(restated, period, "close").changed
    assert everything(restated) == before


def test_bundle_and_statements_verify_and_a_changed_byte_does_not(restated: Project) -> None:
    for period in (FIRST, SECOND):
        folder = folder_of(restated, period)
        bundle = (folder / "bundle.json").read_bytes()
        assert verify_bundle(bundle) == []
        key = json.loads(bundle)["public_key"]
        statements = [path.read_bytes() for path in sorted(folder.glob("*.json")) if path.name != "bundle.json"]
        assert [verify_statement(content, key) for content in statements] == [[]] * 6
    for content, verify in ((bundle, verify_bundle), (statements[0], verify_statement)):
        for place in range(len(content) // 7, len(content), len(content) // 7):
            changed = bytearray(content)
            changed[place] = ord("1") if content[place] != ord("1") else ord("2")
            assert verify(bytes(changed)) != []


def test_what_cannot_be_restated_is_refused(closed: Project) -> None:
    before = everything(closed)
    with pytest.raises(MoneyError, match=f"Period {SECOND} is not closed"):
        work(closed, SECOND, "restate", REASON)
    with pytest.raises(MoneyError, match="would change no amount of version 2"):
        work(closed, FIRST, "restate", REASON)
    with pytest.raises(MoneyError, match="has no reason"):
        work(closed, FIRST, "restate", " ")
    assert everything(closed) == before


def test_another_policy_needs_a_reason_that_stays_on_record(settled: Project, tmp_path: Path) -> None:
    project = copied(settled, tmp_path / "policy")
    changed, before = edit(project, policy={"basis": "equal"}), everything(project)
    with pytest.raises(PolicyError, match=f"Period {FIRST} is registered under policy attribution"):
        work(changed, FIRST)
    assert everything(changed) == before
    register(changed, FIRST, "The board decided so", as_json=True)
    with pytest.raises(MoneyError, match="since then, the policy changed"):
        work(changed, FIRST, "close")
    work(changed, FIRST)
    work(changed, FIRST, "close")
    assert {each.share for each in latest_statements(changed, FIRST)} == {"1/3"}
    with open_tables(changed.lake_root) as lake:
        told = lake.execute(
            "select name, reason from policies where period = $1 order by reason", [FIRST]
        ).fetchall()
    assert told == [("attribution-clip-aggregate", ""), ("equal", "The board decided so")]
