"""Months without queries: no value, a division by the fallback, and accounts that continue."""

import asyncio
import json
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from tests.e2e.closing import copied, work
from tests.projects import write_project
from tests.unit.jobs.commanding import tribute
from tribute.config import Project, load_project
from tribute.royalty.document import AccountBalance
from tribute.royalty.proof import verify_bundle
from tribute.serving import PeriodReporter, Report
from tribute_jobs.inquiries.explain import explain
from tribute_jobs.inquiries.whatif import divide
from tribute_jobs.period.statements import latest_statements, statement_folder

BUSY, QUIET, LAST, BEYOND = "2026-10", "2026-11", "2026-12", "2027-01"
TERMS = (
    "publisher_id,currency,advance,advance_period,minimum_guarantee,accounting_period,reserve_rate,reserve_months"
)
AGREEMENTS = f"""{TERMS}
planet,EUR,50.00,2026-11,,,,
kitchen,EUR,,,2000.00,quarter,,
arena,EUR,,,,,0.1,1
"""
TOLD = ("attribution_signed_nats", "value_nats", "attribution_payable_nats", "usage_count")


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    ray_cluster: None,  # noqa: ARG001
) -> Project:
    """October has queries, and is closed."""
    folder = tmp_path_factory.mktemp("quiet")
    path = write_project(
        folder,
        rights={"sources": "sources.csv", "agreements": "agreements.csv"},
        money={"fees": "fees.csv"},
    )
    (folder / "agreements.csv").write_text(AGREEMENTS)
    (folder / "fees.csv").write_text("customer_id,fee\ncustomer-0,10.00\ncustomer-1,20.00\n")
    project = load_project(path)
    work(project, BUSY)
    work(project, BUSY, "close")
    return project


@pytest.fixture(scope="module")
def quarter(made: Project) -> Project:
    """Nothing was asked in November and December, and both are closed."""
    for month in (QUIET, LAST):
        work(made, month)
        work(made, month, "close")
    return made


def accounts(project: Project, period: str) -> dict[str, AccountBalance]:
    return {each.publisher_id: each.balance for each in latest_statements(project, period)}


@pytest.mark.slow
def test_every_publisher_gets_a_statement_of_no_usage(quarter: Project) -> None:
    statements = latest_statements(quarter, QUIET)
    assert {each.publisher_id for each in statements} == {"arena", "kitchen", "planet"}
    assert {each.status for each in statements} == {"final"}
    told = [
        row
        for each in statements
        for row in (each, *each.lines)
        if getattr(row, "line_type", "") != "unattributed"
    ]
    assert {tuple(getattr(row, name) for name in TOLD) for row in told} == {("0", "0", "0", 0)}
    assert {each.interval.ci_high_nats for each in statements} == {"0"}
    assert verify_bundle((statement_folder(quarter, QUIET, 2) / "bundle.json").read_bytes()) == []


def test_the_pool_of_a_quiet_month_is_divided_by_the_fallback(quarter: Project) -> None:
    statements = latest_statements(quarter, QUIET)
    assert {each.pools[0].allocation_basis for each in statements} == {"token_count"}
    assert sum(each.amount_minor for each in statements) == 100_001
    [unattributed] = [line for line in statements[0].lines if line.amount_minor]
    assert unattributed.line_type == "unattributed"
    assert explain(quarter, unattributed.line_id)["valuation"]["queries"] == 0
    source = next(line for line in statements[0].lines if line.source_id)
    assert explain(quarter, source.line_id)["queries"]["asked"] == 0


def test_accounts_go_on_through_quiet_months(quarter: Project) -> None:
    """November grants Planet's advance and releases Arena's reserve; December tops up Kitchen's quarter."""
    before, quiet, last = (accounts(quarter, month) for month in (BUSY, QUIET, LAST))
    assert quiet["planet"].advance_granted_minor == quiet["planet"].advance_recouped_minor == 5_000
    assert before["arena"].reserve_held_minor == quiet["arena"].reserve_released_minor > 0
    assert before["kitchen"].amount_paid_minor == quiet["kitchen"].amount_paid_minor == 0
    assert quiet["kitchen"].opening_balance_minor == before["kitchen"].closing_balance_minor > 0
    earned = sum(each["kitchen"].royalty_earned_minor for each in (before, quiet, last))
    assert last["kitchen"].minimum_guarantee_shortfall_minor == 200_000 - earned > 0
    assert last["kitchen"].amount_paid_minor == 200_000


def test_every_policy_divides_a_quiet_month(quarter: Project) -> None:
    """Also the one that asks what each customer's own queries were worth: nothing."""
    found = {each.policy.name: each.shares for each in divide(quarter, QUIET).divisions}
    tokens = found["token-count"]
    assert found["user-centric"] == found["noise-floor"] == tokens != found["equal"]
    assert sum(tokens.values(), Fraction(0)) == 1


def test_a_month_without_queries_and_money_is_told_and_settled(
    quarter: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = quarter.workdir.parent / "project.yaml"
    path.write_text(
        yaml.safe_dump(yaml.safe_load(path.read_text()) | {"pool": {"amount": "0", "currency": "EUR"}})
    )
    project = load_project(path)
    capsys.readouterr()
    work(project, BEYOND)
    printed = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    warnings = [row["message"] for row in printed if row["event"] == "warned"]
    assert any(f"No queries in {BEYOND}" in text and f"There are some in {BUSY}." in text for text in warnings)
    told = {row["stage"]: row["summary"] for row in printed if row["event"] == "finished"}
    assert told["attribute"] == f"no queries in {BEYOND}"
    assert told["settle"].startswith(f"no queries in {BEYOND}: 0.00 EUR divided by token_count over 3 publishers")
    assert {each.amount_minor for each in latest_statements(project, BEYOND)} == {0}
    ran = tribute("run", path, "--period", BEYOND)
    assert (ran.code, "Nothing to do" in ran.text) == (3, True), "a month that is settled without queries"
    assert not work(project, BEYOND).changed


@pytest.mark.slow
def test_queries_that_come_late_make_another_draft(quarter: Project, tmp_path: Path) -> None:
    project = copied(quarter, tmp_path / "late")
    path = project.workdir.parent / "usage.jsonl"
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    late = [row | {"query_id": row["query_id"] + "-late", "time": f"{BEYOND}-03T12:00:00+00:00"} for row in rows]
    work(project, BEYOND)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows + late))
    work(project, BEYOND)
    statements = latest_statements(project, BEYOND)
    assert {each.pools[0].allocation_basis for each in statements} == {"attribution"}
    assert {each.usage_count for each in statements} == {len(late)}


def test_the_service_reports_only_what_was_attributed(quarter: Project) -> None:
    async def reported(*periods: str) -> list[Report]:
        reporter = PeriodReporter(quarter, lambda: asyncio.sleep(0))
        ids = [(await reporter.order(period)).report_id for period in periods]
        while any(each.state in ("queued", "running") for each in await reporter.reports()):
            await asyncio.sleep(0.05)
        return [found for each in ids if (found := await reporter.report(each))]

    quiet, never = asyncio.run(reported(QUIET, "2020-01"))
    assert quiet.report is not None
    assert quiet.report["queries"] == 0
    assert never.state == "failed"
    assert "Period 2020-01 has no attributed query" in str(never.problem)
