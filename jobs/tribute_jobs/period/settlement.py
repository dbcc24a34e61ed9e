"""A settlement: all statements of a period in one version, from a committed valuation; committed and written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tribute.catalog import Valuation, lineage
from tribute.catalog import run_id as make_run_id
from tribute.config import Project
from tribute.royalty.account import by_publisher
from tribute.royalty.exact import canonical_json, statement_sha256
from tribute.royalty.statement import PeriodFacts, build_statements
from tribute.valuation import exact
from tribute_jobs.period import terms as facts
from tribute_jobs.period.accounts import read_books
from tribute_jobs.period.payees import absent_publishers, publisher_values
from tribute_jobs.period.settled_files import SettledFile, keep_files, project_files, require_unchanged
from tribute_jobs.period.statements import Statement, latest_statements, latest_version, run_of
from tribute_storage import SCHEMAS, Lake

COPIED = (
    "value_run",
    "statement_id",
    "statement_version",
    "period",
    "publisher_id",
    "currency",
    "currency_exponent",
)
VERSIONED = {"statement_id", "statement_version", "restates_statement_version", "supersedes_statement_id"}
LINE = ("line_id", "line_type", "pool_id", "amount_minor")


@dataclass(frozen=True)
class Settlement:
    """The statements of a version, and the run that commits them.

    `reason`: why a closed period is issued anew. `files`: those of the project that a new version rests on.
    """

    run_id: str
    statements: list[Statement]
    reason: str | None = None
    files: tuple[SettledFile, ...] = ()


def settlement(
    project: Project, valuation: Valuation, final: bool = False, reason: str | None = None
) -> Settlement:
    """Settle a period: divide the pools by the policy and write every publisher's account.

    What says the same as the newest version is that version; anything else is the next one, by a run that is named
    after what it says and after the files of the project it rests on.

    Args:
        final: the version is closed with this.
        reason: why a closed period is issued anew.

    Raises:
        MoneyError, PolicyError, RightsError: pools, policy or terms cannot be used, or a file changed meanwhile.
    """
    files = project_files(project)
    period, rule, pools = valuation.period, facts.policy(project), facts.pools(project)
    publishers = publisher_values(project, valuation, by_customer="user_centric" in rule.weights)
    currencies = {pool.currency for pool in pools}
    books = read_books(project, period, {each.publisher_id for each in publishers}, currencies)
    publishers += absent_publishers(project, publishers, books.agreements)
    version, closed = latest_version(project, period)
    runs, shrinkage = lineage(project), valuation.publishers()[0]["shrinkage"]
    of_period = PeriodFacts(
        project=project.name,
        period=period,
        pools=pools,
        shrinkage=exact(shrinkage),
        value_run=valuation.run_id,
        simulate_run=runs.simulate_run,
        train_run=runs.train_run,
        policy=rule,
        fees=facts.fees(project),
        statement_version=version + 1,
        superseded=frozenset(by_publisher(latest_statements(project, period)) if closed else ()),
        final=final,
        quality=facts.quality(project, period),
    )
    statements, newest = build_statements(of_period, publishers, books), latest_statements(project, period)
    require_unchanged(project, files)
    told = content(statements)
    if told == content(newest):
        return Settlement(run_of(project, newest[0]["statement_id"]), newest, reason)
    named = [(file.setting, file.name, file.sha256) for file in files]
    settle_run = make_run_id("settle", version + 1, told, named)
    return Settlement(settle_run, statements, reason, files)


def commit(lake: Lake, settled: Settlement) -> None:
    """Commit the lines and the files, then the statements that rest on them."""
    run_id, statements = settled.run_id, settled.statements
    lines = [_line_row(run_id, statement, line) for statement in statements for line in statement["lines"]]
    rows = [_row(run_id, statement, settled.reason) for statement in statements]
    lake.append("statement_lines", run_id, pa.Table.from_pylist(lines, SCHEMAS["statement_lines"]))
    keep_files(lake, run_id, settled.files)
    lake.append("statements", run_id, pa.Table.from_pylist(rows, SCHEMAS["statements"]))


def content(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """What statements say, whatever their version."""
    found = []
    for each in sorted(statements, key=lambda one: (one["publisher_id"], one["currency"])):
        own = {name: value for name, value in each.items() if name not in VERSIONED}
        lines = [{name: value for name, value in line.items() if name != "line_id"} for line in each["lines"]]
        found.append(own | {"lines": lines})
    return found


def _row(run_id: str, statement: Statement, reason: str | None) -> dict[str, Any]:
    return {name: statement[name] for name in (*COPIED, "amount_minor", "share", "status")} | {
        "run_id": run_id,
        "pool_minor": sum(pool["pool_amount_minor"] for pool in statement["pools"]),
        "json": canonical_json(statement).decode(),
        "sha256": statement_sha256(statement),
        "reason": reason,
        "paid_minor": statement["balance"]["amount_paid_minor"],
    }


def _line_row(run_id: str, statement: Statement, line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in LINE} | {
        "run_id": run_id,
        "statement_id": statement["statement_id"],
        "period": statement["period"],
        "publisher_id": statement["publisher_id"],
        "source_id": line["source_id"] or "",
        "attribution_signed_nats": line["attribution_signed_nats"] or "0",
        "attribution_payable_nats": line["attribution_payable_nats"] or "0",
    }
