"""Stage `value`: the value of each publisher's sources in a period."""

from tribute.catalog import months_with_queries, valuation_record, value_period
from tribute.config import Project
from tribute.tracking import track
from tribute_jobs.context import Context, StageOutput
from tribute_jobs.period.sequence import NAMED


def value(context: Context, period: str, attribute_run: str) -> StageOutput:
    """Value the period from its attributed queries, commit `valuations`, then track them in MLflow."""
    context.reporter.started("value", attribute_run)
    valuation = value_period(context.lake, context.project, period, attribute_run)
    problem = track(context.project, valuation_record(context.project, valuation))
    if problem:
        context.reporter.warned(problem)
    publishers = valuation.publishers()
    if not publishers[0]["queries"]:
        context.reporter.warned(empty_month(context.project, period))
        summary = f"{len(publishers)} publishers, no queries in {period}"
        return StageOutput(valuation.run_id, valuation.new, summary)
    kappa = publishers[0]["shrinkage"]
    weights = f"{1 - kappa:.0%} by influence and {kappa:.0%} by token count"
    summary = f"{len(publishers)} publishers, valued {weights}"
    return StageOutput(valuation.run_id, valuation.new, summary)


def empty_month(project: Project, period: str) -> str:
    """Warning for a month without queries, with the latest months that have some."""
    months = [month for month in months_with_queries(project) if month != period]
    known = f"There are some in {', '.join(months[-NAMED:])}" if months else "There are none in any other month"
    return (
        f"No queries in {period}: every value is 0. {known}. If the model was not used in {period}, nothing is "
        "wrong. Otherwise name the right month, or add its queries: to the usage file under `queries`, or with "
        "tribute ingest PROJECT.yaml FILE"
    )
