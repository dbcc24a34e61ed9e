"""Stage `train`: train every replicate and record its trajectory."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from tribute.catalog import recorded_trainings
from tribute.cluster import TrainJob
from tribute.training import replay_drift, replays_end
from tribute_jobs.compute.recorded import require_same
from tribute_jobs.context import Context, StageOutput
from tribute_storage import SCHEMAS, open_tables


def train(context: Context) -> StageOutput:
    """Train the replicates on the cluster and commit `learning` and `trajectories`. A killed training resumes."""
    run_id = context.runs.train_run
    new = not context.lake.committed("trajectories", run_id)
    if new:
        context.reporter.started("train", run_id)
        common = {
            "run_id": run_id,
            "corpus_run": context.runs.corpus_run,
            "corpus_sha256": context.manifest().sha256,
        }
        trained = train_replicates(context, range(context.project.training.replicates))
        rows = [row | common | {"artifact_uri": context.uri(row["artifact_uri"])} for row in trained]
        learning = [row | {"run_id": run_id} for each in trained for row in each["learning"]]
        context.lake.append("learning", run_id, pa.Table.from_pylist(learning, SCHEMAS["learning"]))
        context.lake.append("trajectories", run_id, pa.Table.from_pylist(rows, SCHEMAS["trajectories"]))
    with open_tables(context.lake.root, "trajectories") as connection:
        [(replicates, steps, loss)] = connection.execute(
            "select count(*), any_value(steps), avg(final_loss_nats) from trajectories where run_id = $1",
            [run_id],
        ).fetchall()
    folders = (context.folder(run_id) / f"replicate-{replicate}" for replicate in range(replicates))
    told = f"{replicates} trainings of {steps} steps, mean loss {loss:.3f} nats"
    return StageOutput(run_id, new, told + replays_end(replay_drift(*folders)))


def train_replicates(context: Context, replicates: Iterable[int]) -> list[dict[str, Any]]:
    """Train some replicates on the cluster; their rows of `trajectories`, with absolute paths."""
    training = context.project.training
    jobs = [
        TrainJob(
            replicate,
            training.seed + replicate,
            context.folder(context.runs.train_run) / f"replicate-{replicate}",
            context.recording(replicate),
        )
        for replicate in replicates
    ]
    return context.run_jobs("trainings", jobs, lambda actor, job: actor.train.remote(job))


def make_trainings_again(context: Context) -> bool:
    """Train the replicates again that lack a state, and compare them; whether there was any.

    Raises:
        DamagedFile: what was made differs from what the lake records.
    """
    replicates, workdir = recorded_trainings(context.project), context.project.workdir
    lost = [each for each in replicates if not each.trajectory.whole(each.steps)]
    if lost:
        context.reporter.warned(f"Files of trainings are gone from {workdir} ({len(lost)}): made again")
        context.reporter.started("train", context.runs.train_run)
        train_replicates(context, [each.index for each in lost])
        require_same({each.file: each.sha256 for each in lost})
    return bool(lost)
