"""Stage `simulate`: how the parameters of every replicate would have moved without each source."""

import pyarrow as pa

from tribute.cluster import SimulateJob, chunks
from tribute.simulation import Replicate, recorded_replicates
from tribute.training import horizon_start, learning_rates
from tribute_jobs.context import Context
from tribute_jobs.stages.stage import StageOutput
from tribute_storage import SCHEMAS, connect


def simulate(context: Context) -> StageOutput:
    """Simulate all sources in all replicates on the cluster and commit `simulations`."""
    run_id = context.runs.simulate_run
    new = not context.lake.committed("simulations", run_id)
    if new:
        context.reporter.started("simulate", run_id)
        _simulate(context, run_id)
    with connect(context.lake.root) as connection:
        [(responses, steps, mode, horizon)] = connection.execute(
            "select count(*), any_value(horizon_steps), any_value(mode), any_value(horizon) from simulations "
            "where run_id = $1",
            [run_id],
        ).fetchall()
    summary = f"{responses} responses, {mode}, last {horizon:.0%} of the learning-rate mass ({steps} steps)"
    return StageOutput(run_id, new, summary)


def _simulate(context: Context, run_id: str) -> None:
    settings, shards = context.project.simulation, context.shards()
    replicates = recorded_replicates(context.project)
    steps = replicates[0].steps
    first = horizon_start(learning_rates(context.project.training, steps), settings.horizon)
    broadcast = {replicate.index: _broadcast(context, replicate, first) for replicate in replicates}
    jobs = [
        SimulateJob(
            replicate.index,
            replicate.seed,
            chunk,
            sources,
            replicate.trajectory.last_before(first),
            context.folder(run_id) / f"replicate-{replicate.index}",
        )
        for replicate in replicates
        for chunk, sources in enumerate(chunks(len(context.manifest().sources), settings.chunk))
    ]
    found = shards.run(
        jobs,
        lambda actor, job: actor.simulate.remote(shards.data, *broadcast[job.replicate], job),
        context.reporter.advanced,
    )
    common = {
        "run_id": run_id,
        "train_run": context.runs.train_run,
        "mode": settings.mode,
        "scope": "all",
        "horizon": settings.horizon,
        "horizon_steps": steps - first,
        "epsilon": settings.epsilon,
    }
    rows = [row | common | {"artifact_uri": context.uri(row["artifact_uri"])} for chunk in found for row in chunk]
    context.lake.append("simulations", run_id, pa.Table.from_pylist(rows, SCHEMAS["simulations"]))


def _broadcast(context: Context, replicate: Replicate, first: int) -> tuple[object, object]:
    """The state before the horizon and the final parameters, each once in the object store."""
    trajectory = replicate.trajectory
    start = trajectory.load(trajectory.last_before(first))
    arrays = [start.theta.numpy(), *(slot.numpy() for slot in start.slots)]
    shards = context.shards()
    return shards.put(arrays), shards.put(replicate.final().numpy())
