"""Closing a period for good, and restating a closed one: final statements, ledger, signed bundle."""

from tribute.config import Project
from tribute.errors import MoneyError
from tribute.valuation import Valuation, read_valuation
from tribute_jobs.context import Context
from tribute_jobs.money.issued import (
    Statement,
    final_statements,
    latest_statements,
    latest_version,
    statements_of_run,
    statements_of_version,
)
from tribute_jobs.money.posting import post
from tribute_jobs.money.proving import bundle_run, prove
from tribute_jobs.money.settlement import Settlement, commit, settlement
from tribute_storage import connect


def close(context: Context, period: str, value_run: str) -> list[Statement]:
    """Make a settled period final: issue its last version, post it to the ledger, sign the bundle.

    Doing it again completes what an interruption left out, and changes nothing else.

    Raises:
        MoneyError: an earlier settled period is open, a later one is closed, or the period is not settled.
    """
    project, lake = context.project, context.lake
    newest, closed = latest_version(project, period)
    if not newest:
        raise MoneyError(f"Period {period} is not settled. Run: tribute run PROJECT.yaml --period {period}")
    if not closed:
        _require_order(project, period)
        valuation = Valuation(value_run, period, read_valuation(lake, value_run), False)
        commit(lake, settlement(project, valuation, final=True))
    return _complete(context, period)


def restate(context: Context, period: str, value_run: str, reason: str) -> Settlement:
    """Issue a closed period anew as its next version; what it moves is an adjustment of the next period settled.

    After an interruption, the same again completes the version that was begun.

    Raises:
        MoneyError: the period is not closed, nothing would change, or there is no reason.
    """
    project, lake = context.project, context.lake
    newest, closed = latest_version(project, period)
    if not closed:
        raise MoneyError(f"Period {period} is not closed, so it can simply be settled again: tribute run")
    if not reason.strip():
        raise MoneyError("A restatement has no reason. Say why, in words that the publishers will read: --reason")
    interrupted = not lake.committed("bundles", bundle_run(project, period, newest))
    restated = len({s["statement_version"] for s, _ in final_statements(project) if s["period"] == period}) > 1
    _complete(context, period)
    valuation = Valuation(value_run, period, read_valuation(lake, value_run), False)
    settled = settlement(project, valuation, final=True, reason=reason)
    if interrupted and restated and settled.statements[0]["statement_version"] == newest:
        return settled
    before = {_key(each): each["balance"]["royalty_earned_minor"] for each in latest_statements(project, period)}
    if before == {_key(each): each["balance"]["royalty_earned_minor"] for each in settled.statements}:
        raise MoneyError(
            f"Restating {period} would change no amount of version {newest}. Correct the settings first, such as "
            "the rights, the usage or the pool"
        )
    commit(lake, settled)
    prove(context, statements_of_run(project, settled.run_id))
    return settled


def _complete(context: Context, period: str) -> list[Statement]:
    """Post the version that closed the period and sign every final one, where that is not done; the newest one."""
    project = context.project
    final = [statement for statement, _ in final_statements(project) if statement["period"] == period]
    closing, *restated = sorted({statement["statement_version"] for statement in final})
    statements = statements_of_version(project, period, closing)
    post(context.lake, project, f"post-{project.name}-{period}", statements)
    proven = prove(context, statements)
    for later in restated:
        proven = prove(context, statements_of_version(project, period, later))
    return proven


def _require_order(project: Project, period: str) -> None:
    """Accounts run from month to month: earlier settled months are closed before, and later ones after."""
    with connect(project.lake_root) as connection:
        rows = connection.execute(
            "select period from statements where period < $1 group by period "
            "having not bool_or(coalesce(status = 'final', false)) order by period limit 1",
            [period],
        ).fetchall()
        unsigned = connection.execute(
            "select distinct s.period from statements s anti join bundles b using (period, statement_version) "
            "where s.period < $1 and s.status = 'final' order by 1 limit 1",
            [period],
        ).fetchall()
        later = connection.execute(
            "select period from statements where period > $1 and status = 'final' order by period limit 1",
            [period],
        ).fetchone()
    rows = [(*row, "settled and not closed") for row in rows] or [(*row, "half closed") for row in unsigned]
    if rows:
        raise MoneyError(
            f"Period {rows[0][0]} is {rows[0][1]}, and {period} opens with its balances. Close it: "
            f"tribute close PROJECT.yaml --period {rows[0][0]}"
        )
    if later:
        raise MoneyError(
            f"Period {later[0]} is closed and did not open with the balances of {period}, which can no longer be "
            "closed. Divide its money in the pool of a month to come"
        )


def _key(statement: Statement) -> tuple[str, str]:
    return statement["publisher_id"], statement["currency"]
