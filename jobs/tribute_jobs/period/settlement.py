"""A settlement: all statements of a period in one version, from a committed valuation; committed to the lake."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tribute.catalog import Valuation, lineage
from tribute.catalog import run_id as make_run_id
from tribute.royalty.account import by_publisher
from tribute.royalty.document import Statement, StatementChange, StatementLine
from tribute.royalty.statement import PeriodFacts, build_statements
from tribute.valuation import exact
from tribute_jobs.period.accounts import read_books
from tribute_jobs.period.payees import absent_publishers, publisher_values
from tribute_jobs.period.settled_files import SettledFile, keep_files, project_files, require_unchanged
from tribute_jobs.period.statements import Period, Version, changes
from tribute_jobs.period.terms import customer_fees, period_policy, period_pools, quality_certificate
from tribute_storage import SCHEMAS, Basis, Lake, LakeConflict

COPIED = (
    "value_run",
    "statement_id",
    "statement_version",
    "period",
    "publisher_id",
    "currency",
    "currency_exponent",
)
VERSIONED = {
    "statement_id",
    "statement_version",
    "restates_statement_version",
    "supersedes_statement_id",
    "change",
}
LINE = ("line_id", "line_type", "pool_id", "amount_minor")


@dataclass(frozen=True)
class Settlement:
    """A version to commit. `files`: those of the project that it rests on, if it is new."""

    version: Version
    files: tuple[SettledFile, ...] = ()


def settlement(period: Period, valuation: Valuation, final: bool = False, reason: str | None = None) -> Settlement:
    """Settle a period: divide the pools by the policy and write every publisher's account.

    If the statements say the same as the newest version, the settlement is that version. Otherwise it is the next
    version, and its run is named after the statements and the project's files.

    Args:
        final: whether the version closes the period.
        reason: why a closed period is issued again.

    Raises:
        MoneyError, PolicyError, RightsError: pools, policy or terms cannot be used, or a file changed meanwhile.
    """
    project = period.project
    files = project_files(project)
    policy, pools = period_policy(project), period_pools(project)
    publishers = publisher_values(project, valuation, by_customer="user_centric" in policy.weights)
    currencies = {pool.currency for pool in pools}
    books = read_books(period, {each.publisher_id for each in publishers}, currencies)
    publishers += absent_publishers(period, publishers, books.agreements)
    number = period.newest.number + 1 if period.newest else 1
    runs = lineage(project)
    facts = PeriodFacts(
        project=project.name,
        period=period.month,
        pools=pools,
        shrinkage=exact(valuation.publishers()[0]["shrinkage"]),
        value_run=valuation.run_id,
        simulate_run=runs.simulate_run,
        train_run=runs.train_run,
        repetition=project.training.repetition,
        policy=policy,
        fees=customer_fees(project),
        statement_version=number,
        superseded=frozenset(by_publisher(period.statements) if period.closed else ()),
        final=final,
        quality=quality_certificate(project, period.month),
    )
    statements = build_statements(facts, publishers, books)
    require_unchanged(project, files)
    contents = content(statements)
    if period.newest and contents == content(period.statements):
        return Settlement(Version(period.newest.run_id, period.statements, reason))
    named = [(file.setting, file.name, file.sha256) for file in files]
    settle_run = make_run_id("settle", number, contents, named)
    if period.closed:
        statements = _with_changes(period, statements)
    return Settlement(Version(settle_run, tuple(statements), reason), files)


def _with_changes(period: Period, statements: Sequence[Statement]) -> list[Statement]:
    """Restated statements, each with what its amount changed by since the newest version."""
    found = {
        (move.publisher_id, move.currency): move
        for move in changes(period.project, period.statements, statements).publishers
    }
    return [
        each.model_copy(
            update={
                "change": StatementChange(
                    **{name: getattr(found[each.key], name) for name in StatementChange.model_fields}
                )
            }
        )
        for each in statements
    ]


def commit(lake: Lake, settled: Settlement, basis: Basis | None = None) -> None:
    """Commit the lines and the files, then the statements that rest on them.

    Of two folders that issue one version of a month, one commits its statements. The other one may leave lines and
    files in the lake's history; the views show only those of committed statements.

    Args:
        basis: the statements that the settlement follows from (`Period.basis`); None: none of the lake.

    Raises:
        LakeConflict: another process committed a version of the month, or closed another month, meanwhile.
    """
    version = settled.version
    try:
        if basis is not None:
            lake.require_unchanged("statements", version.run_id, basis)
        if not _append(lake, settled, basis) and basis is not None:
            raise LakeConflict(
                f"Another process committed the same ones, {version.run_id}, while this command was at work. "
                "Run the same command again."
            )
    except LakeConflict as conflict:
        raise LakeConflict(f"This is not version {version.number} of {version.month}. {conflict}") from None


def _append(lake: Lake, settled: Settlement, basis: Basis | None) -> bool:
    version = settled.version
    run_id = version.run_id
    lines = [_line_row(run_id, statement, line) for statement in version.statements for line in statement.lines]
    rows = [_row(run_id, statement, version.reason) for statement in version.statements]
    lake.append("statement_lines", run_id, pa.Table.from_pylist(lines, SCHEMAS["statement_lines"]))
    keep_files(lake, run_id, settled.files)
    return lake.append("statements", run_id, pa.Table.from_pylist(rows, SCHEMAS["statements"]), basis=basis)


def content(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Content of statements without versions, ids and changes, JSON-ready, sorted by publisher and currency."""
    found = []
    for each in sorted(statements, key=lambda one: one.key):
        plain = each.plain()
        own = {name: value for name, value in plain.items() if name not in VERSIONED}
        lines = [{name: value for name, value in line.items() if name != "line_id"} for line in plain["lines"]]
        found.append(own | {"lines": lines})
    return found


def _row(run_id: str, statement: Statement, reason: str | None) -> dict[str, Any]:
    return {name: getattr(statement, name) for name in (*COPIED, "amount_minor", "share", "status")} | {
        "run_id": run_id,
        "pool_minor": sum(pool.pool_amount_minor for pool in statement.pools),
        "json": statement.canonical().decode(),
        "sha256": statement.sha256,
        "reason": reason,
        "paid_minor": statement.balance.amount_paid_minor,
    }


def _line_row(run_id: str, statement: Statement, line: StatementLine) -> dict[str, Any]:
    return {name: getattr(line, name) for name in LINE} | {
        "run_id": run_id,
        "statement_id": statement.statement_id,
        "period": statement.period,
        "publisher_id": statement.publisher_id,
        "source_id": line.source_id or "",
        "attribution_signed_nats": line.attribution_signed_nats or "0",
        "attribution_payable_nats": line.attribution_payable_nats or "0",
    }
