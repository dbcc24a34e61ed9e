"""Stage `value`: what each publisher's sources were worth in the period; tracked after the commit."""

from tribute.catalog import valuation_record, value_period
from tribute.tracking import track
from tribute_jobs.context import Context
from tribute_jobs.stages.quiet import quiet_month
from tribute_jobs.stages.stage import StageOutput


def value(context: Context, period: str, attribute_run: str) -> StageOutput:
    """Value the period from its attributed queries and commit `valuations`."""
    context.reporter.started("value", attribute_run)
    valuation = value_period(context.lake, context.project, period, attribute_run)
    problem = track(context.project, valuation_record(context.project, valuation))
    if problem:
        context.reporter.warned(problem)
    publishers = valuation.publishers()
    if not publishers[0]["queries"]:
        context.reporter.warned(quiet_month(context.project, period))
        summary = f"{len(publishers)} publishers, no queries in {period}"
        return StageOutput(valuation.run_id, valuation.new, summary)
    kappa = publishers[0]["shrinkage"]
    summary = f"{len(publishers)} publishers, token-count weight {kappa:.2f}"
    return StageOutput(valuation.run_id, valuation.new, summary)
