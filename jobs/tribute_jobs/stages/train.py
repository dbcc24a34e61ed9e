"""Stage `train`: train every replicate and record its trajectory."""

import pyarrow as pa

from tribute.cluster import TrainJob
from tribute_jobs.context import Context, StageOutput
from tribute_storage import SCHEMAS, open_tables


def train(context: Context) -> StageOutput:
    """Train the replicates on the cluster and commit `trajectories`. A killed training resumes."""
    run_id = context.runs.train_run
    new = not context.lake.committed("trajectories", run_id)
    if new:
        context.reporter.started("train", run_id)
        _train(context, run_id)
    with open_tables(context.lake.root, "trajectories") as connection:
        [(replicates, steps, loss)] = connection.execute(
            "select count(*), any_value(steps), avg(final_loss_nats) from trajectories where run_id = $1",
            [run_id],
        ).fetchall()
    return StageOutput(run_id, new, f"{replicates} trainings of {steps} steps, mean loss {loss:.3f} nats")


def _train(context: Context, run_id: str) -> None:
    training = context.project.training
    jobs = [
        TrainJob(
            replicate,
            training.seed + replicate,
            context.folder(run_id) / f"replicate-{replicate}",
            context.recording(replicate),
        )
        for replicate in range(training.replicates)
    ]
    workers = context.workers()
    trained = workers.run(
        jobs, lambda actor, job: actor.train.remote(workers.data, job), context.reporter.advanced
    )
    common = {
        "run_id": run_id,
        "corpus_run": context.runs.corpus_run,
        "corpus_sha256": context.manifest().sha256,
    }
    rows = [row | common | {"artifact_uri": context.uri(row["artifact_uri"])} for row in trained]
    context.lake.append("trajectories", run_id, pa.Table.from_pylist(rows, SCHEMAS["trajectories"]))
