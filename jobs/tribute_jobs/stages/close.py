"""Stages after settling: `close` makes a period final, `restate` issues a closed one anew."""

from tribute_jobs.context import Context
from tribute_jobs.period import closing
from tribute_jobs.period.statements import latest_version, statement_folder
from tribute_jobs.stages.stage import StageOutput


def close(context: Context, period: str, value_run: str) -> StageOutput:
    """The draft as a final version, ledger entries and the signed bundle of a period."""
    _, closed = latest_version(context.project, period)
    context.reporter.started("close", period)
    statements = closing.close(context, period, value_run)
    version = statements[0]["statement_version"]
    folder = statement_folder(context.project, period, version)
    return StageOutput(
        f"{period}-v{version}", not closed, f"{len(statements)} final statements, signed, in {folder}"
    )


def restate(context: Context, period: str, value_run: str, reason: str) -> StageOutput:
    """The next version of a closed period; its differences are adjustments of the next period that is settled."""
    context.reporter.started("restate", period)
    settled = closing.restate(context, period, value_run, reason)
    version = settled.statements[0]["statement_version"]
    folder = statement_folder(context.project, period, version)
    return StageOutput(f"{period}-v{version}", True, f"version {version}, signed, in {folder}")
