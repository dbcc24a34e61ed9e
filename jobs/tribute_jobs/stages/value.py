"""Stage `value`: the value of each publisher's sources in a period."""

from tribute.catalog import valuation_record, value_period
from tribute.tracking import track
from tribute_jobs.context import Context, StageOutput


def value(context: Context, period: str, attribute_run: str) -> StageOutput:
    """Value the period from its attributed queries, commit `valuations`, then track them in MLflow."""
    context.reporter.started("value", attribute_run)
    context.reporter.working(f"values with {context.project.valuation.resamples:,} resamples")
    valuation = value_period(context.lake, context.project, period, attribute_run)
    problem = track(context.project, valuation_record(context.project, valuation))
    if problem:
        context.reporter.warned(problem)
    publishers = valuation.publishers()
    if not publishers[0]["queries"]:
        summary = f"{len(publishers)} publishers, no queries in {period}"
        return StageOutput(valuation.run_id, valuation.new, summary)
    expected, tokens = publishers[0]["expected_misallocation"], publishers[0]["shrinkage"]
    summary = f"{expected:.1%} of the pool expected in the wrong place; {len(publishers)} publishers"
    summary += f", {tokens:.0%} of their values by token count"
    return StageOutput(valuation.run_id, valuation.new, summary)
