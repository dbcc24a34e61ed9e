"""Stage `value`: the value of each publisher's sources in a period."""

import json
from typing import Any

from tribute.catalog import valuation_record, value_period
from tribute.tracking import track
from tribute_jobs.context import Context, StageOutput

MOSTLY = 0.5
"""Part of the values by token count from which the summary says why."""


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
    return StageOutput(valuation.run_id, valuation.new, summary_of(publishers))


def summary_of(publishers: list[dict[str, Any]]) -> str:
    """How precise the values of a period with queries are, how far they go by token counts, and why if mostly."""
    first = publishers[0]
    told = f"{first['expected_misallocation']:.1%} of the pool expected in the wrong place; {len(publishers)} "
    told += f"publishers, valued {first['shrinkage']:.0%} by token count"
    if first["shrinkage"] > MOSTLY and not json.loads(first["calibration"])["trainings"]:
        told += ", as the simulations under several seeds disagree and nothing was trained without a source"
    return told
