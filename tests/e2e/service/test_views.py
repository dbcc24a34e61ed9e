"""Views agree with what the command line says, and a publisher's hold nothing of others."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from math import isclose
from pathlib import Path

import duckdb
import pytest

from tests.e2e.closing import FIRST, SECOND
from tests.e2e.service.conftest import PUBLISHERS, Shown
from tribute.config import Project
from tribute.royalty.proof import verify_bundle, verify_statement
from tribute.serving.engine import FoundUse
from tribute_jobs.inquiries.explain import explain
from tribute_jobs.period.alarms import period_alarms
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version, latest_statements, statement_folder
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.evidence import NOT_NOW, evidence
from tribute_jobs.service.views.formats import MonthFormat, StatementFormat, month_file, statement_file
from tribute_jobs.service.views.months import month_rows
from tribute_jobs.service.views.period import period_view
from tribute_jobs.service.views.publisher import publisher_view
from tribute_jobs.service.views.quality import quality_view
from tribute_jobs.service.views.query import query_view
from tribute_jobs.service.views.run import run_view
from tribute_jobs.service.views.scope import BY_PUBLISHER, rows, scoped
from tribute_jobs.service.views.settled import newest_statements, statement_list
from tribute_jobs.service.views.valuations import period_valuation
from tribute_storage import SCHEMAS, Lake, LakeError, connect, open_tables, publish

STATES = {SECOND: "draft", FIRST: "final"}


def test_months_sum_to_their_pools(closed_project: Project) -> None:
    found = month_rows(closed_project, None)
    assert {each.period: each.state for each in found} == STATES
    for each in found:
        pools = {pool.pool_id: pool.pool for pool in period_view(closed_project, each.period, None).pools}
        minors = {amount.currency: amount.minor for amount in each.allocated}
        assert minors["JPY"] == pools["tokyo"].minor
        assert minors["EUR"] == pools["answers"].minor + pools["licences"].minor


@pytest.mark.parametrize("period", [FIRST, SECOND])
def test_a_month_is_what_its_statements_say(closed_project: Project, period: str) -> None:
    view, statements = period_view(closed_project, period, None), latest_statements(closed_project, period)
    assert view.state == STATES[period] and view.version == statements[0].statement_version
    shown = {(each.publisher_id, each.statement.allocated.currency): each.statement for each in view.shares}
    for statement in statements:
        row = shown.pop(statement.key)
        assert row.allocated.minor == statement.amount_minor and row.allocated.text == statement.amount
        assert row.paid.minor == statement.balance.amount_paid_minor
        assert row.sha256 == statement.sha256
    assert shown == {}
    expected = period_alarms(closed_project, statements, latest_statements(closed_project, "2026-10"))
    assert [each.text for each in view.alarms if period == SECOND] == [
        each.text for each in expected if period == SECOND
    ]


def test_causes_sum_to_the_change(closed_project: Project) -> None:
    moves = period_view(closed_project, SECOND, None).moves
    assert moves is not None and moves.since.startswith(FIRST)
    for each in moves.publishers:
        assert each.change.minor == each.after.minor - each.before.minor
        assert sum(cause.change.minor for cause in each.causes) == each.change.minor


def test_only_the_next_draft_can_be_closed(closed_project: Project) -> None:
    assert period_view(closed_project, SECOND, None).closing_refused is None
    assert "is closed" in str(period_view(closed_project, FIRST, None).closing_refused)


def test_a_closed_month_holds_until_its_bundle_is_touched(fresh: Callable[[], Shown]) -> None:
    project = fresh().project
    assert period_view(project, FIRST, None).verification.state == "holds"
    assert period_view(project, SECOND, None).verification.state == "open"
    assert publisher_view(project, "arena", FIRST).verification.state == "holds"
    path = statement_folder(project, FIRST, 2) / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b'"amount_minor":', b'"amount_minor":1', 1))
    assert period_view(project, FIRST, None).verification.state == "broken"
    path.unlink()
    assert period_view(project, FIRST, None).verification.state == "elsewhere"


def test_every_format_of_a_statement(closed_project: Project) -> None:
    folder = statement_folder(closed_project, FIRST, 2)
    for row in statement_list(closed_project, FIRST, "planet").statements:
        asked = row.statement_id
        files = {kind: statement_file(closed_project, asked, kind, "planet").content for kind in StatementFormat}
        assert verify_statement(files[StatementFormat.JSON]) == []
        written = folder / f"planet-{row.allocated.currency}"
        for kind in (StatementFormat.JSON, StatementFormat.HTML, StatementFormat.PDF):
            assert files[kind] == written.with_suffix(f".{kind}").read_bytes(), kind
        assert row.paid.text in files[StatementFormat.TEXT].decode()


def test_every_format_of_a_month(closed_project: Project) -> None:
    folder = statement_folder(closed_project, FIRST, 2)
    files = {kind: month_file(closed_project, FIRST, kind).content for kind in MonthFormat}
    assert files[MonthFormat.CSV] == (folder / "period.csv").read_bytes()
    assert files[MonthFormat.XLSX] == (folder / "period.xlsx").read_bytes()
    assert verify_bundle(files[MonthFormat.BUNDLE]) == []
    with pytest.raises(Missing, match="no bundle"):
        month_file(closed_project, SECOND, MonthFormat.BUNDLE)


def test_a_publisher_finds_its_months_sources_and_money(closed_project: Project) -> None:
    view = publisher_view(closed_project, "planet")
    assert [each.period for each in view.months] == [FIRST, SECOND] and view.period == SECOND
    assert {each.source_id for each in view.sources} == {"daily", "recipes"}
    own = [each for each in latest_statements(closed_project, SECOND) if each.publisher_id == "planet"]
    lines = sum(line.amount_minor for each in own for line in each.lines if line.line_type == "source")
    assert sum(amount.minor for each in view.sources for amount in each.amounts) == lines


def test_evidence_sums_to_what_was_measured_and_is_that_of_explain(closed_project: Project) -> None:
    [found] = evidence(closed_project, FIRST, "recipes", "kitchen", answers=4, passages=2, for_operator=True)
    listed = sum(each.nats for each in found.most)
    assert isclose(listed + found.others_nats + found.corrections_nats, found.total_nats, abs_tol=1e-6)
    statement = next(
        each
        for each in latest_statements(closed_project, FIRST)
        if each.publisher_id == "kitchen" and each.currency == "EUR"
    )
    line = next(each for each in statement.lines if each.source_id == "recipes")
    explained = explain(closed_project, line.line_id)["queries"]
    assert [each.query_id for each in found.most] == [each["query_id"] for each in explained["most"][:4]]
    assert found.answers == explained["asked"]
    assert found.passages is not None and found.passages.problem == ""
    assert len(found.passages.passages) == 2
    influences = [each.influence for each in found.passages.passages]
    assert influences == sorted(influences, reverse=True)


def test_a_publisher_reads_queries_by_their_published_ids(closed_project: Project, tmp_path: Path) -> None:
    publish(closed_project.lake_root, tmp_path, publishers=["kitchen"])
    with duckdb.connect(str(tmp_path / "operator.duckdb"), read_only=True) as file:
        ids = dict(file.execute("select published_id, query_id from published_queries").fetchall())
    asked = (closed_project, FIRST, "recipes", "kitchen")
    [own], [whole] = evidence(*asked, passages=1), evidence(*asked, passages=1, for_operator=True)
    assert [ids[each.query_id] for each in own.most] == [each.query_id for each in whole.most]
    assert own.passages is not None and whole.passages is not None
    assert ids[own.passages.query_id] == whole.passages.query_id
    assert own.passages.passages == whole.passages.passages != ()


def test_only_the_operator_reads_why_there_are_no_passages(fresh: Callable[[], Shown]) -> None:
    project = fresh().project
    (project.workdir.parent / "usage.jsonl").write_text("")
    asked = (project, FIRST, "recipes", "kitchen")
    [own], [whole] = evidence(*asked, passages=1), evidence(*asked, passages=1, for_operator=True)
    assert own.passages is not None and own.passages.problem == NOT_NOW
    assert whole.passages is not None and whole.passages.problem not in ("", NOT_NOW)


def test_a_query_has_the_sources_of_the_macro(closed_project: Project) -> None:
    view = query_view(closed_project, f"q003-{FIRST}", passages=0)
    with connect(closed_project.lake_root) as connection:
        expected = connection.execute("from top_sources($1)", [view.query_id]).fetchall()
    assert [each.source_id for each in view.sources] == [row[0] for row in expected]
    for each, row in zip(view.sources, expected, strict=True):
        assert isclose(each.influence.value * view.uses, row[1], rel_tol=1e-9, abs_tol=1e-12)
        assert isclose(
            (each.influence.high - each.influence.low) / 4 * view.uses, row[2], rel_tol=1e-9, abs_tol=1e-9
        )
    assert view.content is None and view.customer_id == "customer-1"
    holders = {each.source_id: each.publishers for each in view.sources}
    assert holders["recipes"] == ("kitchen", "planet") and holders["sports"] == ("arena",)


def test_a_use_of_which_only_sums_are_kept_has_a_page_that_says_so(closed_project: Project) -> None:
    """As the distilled read-out leaves most uses: predicted, and not drawn to be read out exactly."""
    shown = {"query_id": "u1", "period": FIRST, "readout": "distilled", "readout_probability": 0.1}
    shown |= {"measurement_nats": -3.0, "similarity": 0.7, "unlike_corpus": False, "sources": [], "note": "Sums"}
    use = FoundUse(datetime(2026, 10, 5, tzinfo=UTC), None, 2.0, "0" * 64, "simulate-1", False, shown)
    view = query_view(closed_project, "u1", found=use, content={"text": "What was asked"})
    assert (view.note, view.sources, view.readout, view.uses) == ("Sums", (), "distilled", 2.0)
    assert view.content == "What was asked" and view.passages is None and view.attribute_run is None


def test_a_run_leads_back_to_the_corpus(closed_project: Project) -> None:
    settle_run = newest_statements(closed_project, FIRST, None).run_id
    view = run_view(closed_project, settle_run)
    stages = [each.stage for each in view.stages]
    assert stages[:2] == ["settle", "value"] and {"simulate", "train", "corpus", "rights"} <= {*stages}
    assert all(each.committed and each.words for each in view.stages)
    train = next(each for each in view.stages if each.stage == "train")
    assert train.trainings == 2
    assert settle_run in run_view(closed_project, view.stages[1].run_id).rested_on_by
    with pytest.raises(Missing):
        run_view(closed_project, "value-000000000000")


def test_quality_tells_of_damage(fresh: Callable[[], Shown]) -> None:
    project = fresh().project
    before = quality_view(project, checked=True)
    assert all(each.fine for each in before.examined)
    assert before.checks is not None and all(each.fine for each in before.checks)
    assert {each.period for each in before.unlike} == {FIRST, SECOND}
    file = next(each for each in sorted((project.workdir / "lake" / "queries").rglob("*.parquet")))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    after = quality_view(project)
    wrong = [each for each in after.examined if not each.fine]
    assert wrong and file.name in json.dumps([each.model_dump() for each in wrong])
    assert file.name in after.unread and after.unlike == ()


def test_a_month_that_was_attributed_again_counts_its_queries_once(fresh: Callable[[], Shown]) -> None:
    project = fresh().project
    before, months = quality_view(project).unlike, month_rows(project, None)
    assert {each.period: each.queries for each in before} == {FIRST: 12, SECOND: 12}
    lake = Lake(project.lake_root)
    for table, run_id, changes in (
        ("queries", "attribute-later", ""),
        ("valuations", "value-later", ", ['attribute-later'] as attribute_runs, 99 as queries"),
    ):
        with open_tables(project.lake_root, table) as connection:
            later = connection.execute(
                f"select * replace ('{run_id}' as run_id{changes}) from {table} where period = '{SECOND}'"
            ).to_arrow_table()
        lake.append(table, run_id, later.cast(SCHEMAS[table]))
    assert quality_view(project).unlike == before
    assert month_rows(project, None) == months, "the statements still pay the valuation before"


@pytest.mark.parametrize("publisher", PUBLISHERS)
@pytest.mark.parametrize("table", BY_PUBLISHER)
def test_a_publishers_tables_hold_its_own_rows_alone(closed_project: Project, table: str, publisher: str) -> None:
    with scoped(closed_project, publisher, table) as connection:
        found = {each["publisher_id"] for each in rows(connection, f"from {table}")}
    assert found <= {publisher}
    with scoped(closed_project, None, table) as connection:
        everybody = {each["publisher_id"] for each in rows(connection, f"from {table}")}
    assert found == everybody & {publisher}


def test_a_publisher_reads_no_table_of_everybody(closed_project: Project) -> None:
    with pytest.raises(LakeError, match="ledger"), scoped(closed_project, "arena", "statements", "ledger"):
        pass


def test_sources_of_others_are_not_there(closed_project: Project) -> None:
    with pytest.raises(Missing):
        evidence(closed_project, FIRST, "daily", "kitchen")
    assert [each.publisher_id for each in period_valuation(closed_project, FIRST, "kitchen").publishers] == [
        "kitchen"
    ]


def test_a_publisher_that_a_new_version_leaves_out_keeps_no_old_one(fresh: Callable[[], Shown]) -> None:
    project = fresh().project
    assert newest_statements(project, SECOND, "arena").statements != ()
    kept = [each for each in latest_statements(project, SECOND) if each.publisher_id == "kitchen"]
    version = Version("settle-later", tuple(each.model_copy(update={"statement_version": 9}) for each in kept))
    commit(Lake(project.lake_root), Settlement(version))
    assert newest_statements(project, SECOND, "arena").statements == ()
    assert newest_statements(project, SECOND, "kitchen").statements[0].statement_version == 9
