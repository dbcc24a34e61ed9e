"""Stage `settle`: divide the period's pools to the minor unit and write every publisher's statement."""

from tribute.catalog import Valuation, read_valuation
from tribute.royalty.exact import Money, month_after
from tribute.royalty.render import period_csv, render_report
from tribute.tracking import TrackedRun, track
from tribute_jobs.context import Context
from tribute_jobs.period.alarms import period_alarms
from tribute_jobs.period.files import write_files
from tribute_jobs.period.settlement import commit, settlement
from tribute_jobs.period.statements import (
    Statement,
    latest_statements,
    latest_version,
    statement_folder,
    statements_of_run,
)
from tribute_jobs.period.terms import pools
from tribute_jobs.stages.stage import StageOutput


def settle(context: Context, period: str, value_run: str) -> StageOutput:
    """Commit `statement_lines` and `statements`, write the statements' files and add them to the MLflow run.

    A closed period is left as it is.
    """
    project = context.project
    _, closed = latest_version(project, period)
    if closed:
        statements = latest_statements(project, period)
        return StageOutput(value_run, False, _summary(context, statements, closed=True))
    valuation = Valuation(value_run, period, read_valuation(context.lake, value_run), False)
    settled = settlement(project, valuation)
    new = not context.lake.committed("statements", settled.run_id)
    if new:
        context.reporter.started("settle", settled.run_id)
        commit(context.lake, settled)
    statements = statements_of_run(project, settled.run_id)
    findings = period_alarms(project, statements, latest_statements(project, month_after(period, -1)))
    write_files(statement_folder(project, period, statements[0]["statement_version"]), statements, findings)
    for finding in findings if new else ():
        context.reporter.warned(finding.text)
    problem = track(project, _record(valuation, statements))
    if problem:
        context.reporter.warned(problem)
    return StageOutput(settled.run_id, new, _summary(context, statements, closed=False))


def _summary(context: Context, statements: list[Statement], closed: bool) -> str:
    first = statements[0]
    folder = statement_folder(context.project, first["period"], first["statement_version"])
    money = " + ".join(pool.amount.text() for pool in pools(context.project))
    if closed:
        version = first["statement_version"]
        return f"{first['period']} is closed as version {version}; correct it with: tribute restate"
    over = f"over {len({each['publisher_id'] for each in statements})} publishers, in {folder}"
    if any(each["usage_count"] for each in statements):
        return f"{money} {over}"
    [basis] = {pool["allocation_basis"] for each in statements for pool in each["pools"]}
    return f"no queries in {first['period']}: {money} divided by {basis} {over}"


def _record(valuation: Valuation, statements: list[Statement]) -> TrackedRun:
    """What the settlement adds to the valuation's MLflow run: amounts as text, never as metrics."""
    first = statements[0]
    paid = {(pool["pool_id"], s["currency"]): pool["pool_amount_minor"] for s in statements for pool in s["pools"]}
    money = " + ".join(Money(minor, currency).text() for (_, currency), minor in sorted(paid.items()))
    version = first["statement_version"]
    return TrackedRun(
        valuation.run_id,
        f"{valuation.period} {valuation.run_id}",
        f"settlement-v{version}",
        tags={
            "pool": money,
            "statement_version": str(version),
            "status": first["status"],
            "policy": f"{first['policy']['name']} {first['policy']['version']}",
        },
        texts={"report.html": render_report(statements), "period.csv": period_csv(statements)},
    )
