"""Stage `attribute`: read out every query of the period for every source."""

from tribute.cluster import ReadOutJob, chunks
from tribute.corpus import QueryTable
from tribute.readout import QueryRows, attribution_run, period_queries, query_rows
from tribute.simulation import recorded_replicates, simulated_responses
from tribute_jobs.context import Context
from tribute_jobs.stages.stage import StageOutput


def attribute(context: Context, period: str) -> StageOutput:
    """Write `influence` rows per source as Parquet, commit them, then the `queries` beside them."""
    queries = period_queries(context.project, period)
    run_id = attribution_run(context.project, queries, period)
    new = not context.lake.committed("queries", run_id)
    if new:
        context.reporter.started("attribute", run_id)
        _attribute(context, queries, run_id, period)
    count = len(queries.query_ids)
    return StageOutput(run_id, new, f"{count} queries x {len(context.manifest().sources)} sources")


def _attribute(context: Context, queries: QueryTable, run_id: str, period: str) -> None:
    shards, responses = context.shards(), list(simulated_responses(context.project).items())
    thetas = shards.put([replicate.final().numpy() for replicate in recorded_replicates(context.project)])
    rows = shards.put(QueryRows.of(queries))
    jobs = [
        ReadOutJob(run_id, chunk, tuple(responses[index] for index in sources))
        for chunk, sources in enumerate(chunks(len(responses), context.project.simulation.chunk))
    ]
    found = shards.run(
        jobs, lambda actor, job: actor.read_out.remote(thetas, rows, job), context.reporter.advanced
    )
    context.lake.commit("influence", run_id, [file for staged, _ in found for file in staged])
    context.lake.append("queries", run_id, query_rows(context.project, queries, period, "batch", found[0][1]))
