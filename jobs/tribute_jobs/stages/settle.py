"""Stages on the money of a period: `settle` divides it, `close` makes it final, `restate` issues it again."""

from tribute.catalog import Valuation, read_valuation
from tribute.royalty.exact import Money, month_after
from tribute.royalty.render import period_csv, render_report
from tribute.tracking import TrackedRun, track
from tribute_jobs.context import Context, StageOutput
from tribute_jobs.period import closing
from tribute_jobs.period.alarms import period_alarms
from tribute_jobs.period.files import write_files
from tribute_jobs.period.proof import BUNDLE
from tribute_jobs.period.sequence import require_order
from tribute_jobs.period.settlement import commit, settlement
from tribute_jobs.period.statements import Version, latest_statements, read_period, statement_folder
from tribute_jobs.period.terms import period_pools


def settle(context: Context, period: str, value_run: str) -> StageOutput:
    """Divide the pools to the minor unit; commit lines and statements, write their files, add them to MLflow.

    A closed period is left as it is.
    """
    project, lake = context.project, context.lake
    month = read_period(project, period)
    if month.newest is not None and month.closed:
        closed = f"{period} is closed as version {month.newest.number}; correct it with: tribute restate"
        return StageOutput(value_run, False, closed)
    require_order(project, period, "settle")  # another folder may have closed a month meanwhile
    valuation = Valuation(value_run, period, read_valuation(lake, value_run), False)
    settled = settlement(month, valuation)
    version = settled.version
    new = not lake.committed("statements", version.run_id)
    if new:
        context.reporter.started("settle", version.run_id)
        commit(lake, settled, month.basis)
    findings = period_alarms(project, version.statements, latest_statements(project, month_after(period, -1)))
    folder = statement_folder(project, period, version.number)
    write_files(folder, version.statements, context.reporter, findings)
    for finding in findings if new else ():
        context.reporter.warned(finding.text)
    problem = track(project, _record(valuation, version))
    if problem:
        context.reporter.warned(problem)
    return StageOutput(version.run_id, new, _summary(context, version))


def close(context: Context, period: str, value_run: str) -> StageOutput:
    """Issue the draft as a final version, with ledger entries and a signed bundle."""
    month = read_period(context.project, period)
    context.reporter.started("close", period)
    version = closing.close(context, month, value_run)
    summary = f"{len(version.statements)} final statements, {_signed(context, version)}"
    return StageOutput(f"{period}-v{version.number}", not month.closed, summary)


def restate(context: Context, period: str, value_run: str, reason: str) -> StageOutput:
    """Issue a closed period as its next version; the differences are adjustments of the next settled period."""
    context.reporter.started("restate", period)
    version = closing.restate(context, read_period(context.project, period), value_run, reason)
    summary = f"version {version.number}, {_signed(context, version)}"
    return StageOutput(f"{period}-v{version.number}", True, summary)


def _signed(context: Context, version: Version) -> str:
    folder = statement_folder(context.project, version.month, version.number)
    if (folder / BUNDLE).exists():
        return f"signed, in {folder}"
    return "signed with the key of another folder on this lake, which has the files"


def _summary(context: Context, version: Version) -> str:
    statements = version.statements
    folder = statement_folder(context.project, version.month, version.number)
    money = " + ".join(pool.amount.text() for pool in period_pools(context.project))
    over = f"over {len({each.publisher_id for each in statements})} publishers, in {folder}"
    if any(each.usage_count for each in statements):
        return f"{money} {over}"
    [basis] = {pool.allocation_basis for each in statements for pool in each.pools}
    return f"no queries in {version.month}: {money} divided by {basis} {over}"


def _record(valuation: Valuation, version: Version) -> TrackedRun:
    """What the settlement adds to the valuation's MLflow run: amounts as text, never as metrics."""
    statements, first = version.statements, version.statements[0]
    pools = {(pool.pool_id, s.currency): pool.pool_amount_minor for s in statements for pool in s.pools}
    money = " + ".join(Money(minor, currency).text() for (_, currency), minor in sorted(pools.items()))
    return TrackedRun(
        valuation.run_id,
        f"{valuation.period} {valuation.run_id}",
        f"settlement-v{version.number}",
        tags={
            "pool": money,
            "statement_version": str(version.number),
            "status": first.status,
            "policy": f"{first.policy.name} {first.policy.version}",
        },
        texts={"report.html": render_report(statements), "period.csv": period_csv(statements)},
    )
