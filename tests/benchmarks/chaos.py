"""A simulation on a cluster of two nodes: workers are killed every few seconds, and the second node is lost.

`python -m tests.benchmarks.chaos PROJECT.yaml [SECONDS]` runs the project's simulation twice in fresh working
folders, in calm and in chaos, and prints a JSON object on its last line: kills, whether all responses
are the same bits, how many steps were computed more than once, and the most that may be: one checkpoint interval
for every job that lost its worker.
"""

import json
import os
import signal
import sys
import threading
import time
import uuid
from pathlib import Path

import psutil
import ray
from ray.cluster_utils import Cluster

from tribute.catalog import simulation_runs
from tribute.config import Project, load_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

PERIOD = "2026-10"
MARK = "TRIBUTE_CHAOS"
KILLS_BEFORE_NODE_LOSS = 2


class Killer(JsonReporter):
    """Reports as usual, and kills workers while the simulation runs."""

    def __init__(self, cluster: Cluster, extra_node: object, every_s: float) -> None:
        super().__init__()
        self.kills, self.lost_jobs, self.node_removed = 0, 0, False
        self._stop = threading.Event()
        self._cluster, self._extra, self._every = cluster, extra_node, every_s
        self._thread = threading.Thread(target=self._rage, daemon=True)

    def started(self, stage: str, run_id: str) -> None:
        """Begin with the simulation."""
        super().started(stage, run_id)
        if stage == "simulate":
            self._thread.start()

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """End with it."""
        super().finished(stage, run_id, new, summary)
        if stage == "simulate":
            self._stop.set()
            self._thread.join()

    def _rage(self) -> None:
        while not self._stop.wait(self._every):
            if self.kills == KILLS_BEFORE_NODE_LOSS and not self.node_removed:
                before = len(simulating())
                self._cluster.remove_node(self._extra, allow_graceful=False)
                self.node_removed = True
                self.lost_jobs += before - len(simulating())
            elif pids := simulating():
                os.kill(pids[self.kills % len(pids)], signal.SIGKILL)
                self.kills, self.lost_jobs = self.kills + 1, self.lost_jobs + 1


def simulating() -> list[int]:
    """Processes of this cluster's shards that simulate."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = "SourceShard.simulate" in " ".join(process.cmdline())
            if ours and process.environ().get(MARK) == os.environ[MARK]:
                found.append(process.pid)
        except psutil.Error:
            continue
    return sorted(found)


def simulated(project: Project, reporter: JsonReporter) -> tuple[list[tuple], dict[str, int]]:
    """Run up to the simulation: what identifies its responses, and the computed steps of every job."""
    run(project, PERIOD, reporter, last="simulate")
    with open_tables(project.lake_root) as lake:
        rows = lake.execute(
            "select unit_id, replicate, artifact_sha256, response_norm, replay_drift from simulations order by all"
        ).fetchall()
    folders = [project.artifacts / found.folder for found in simulation_runs(project)]
    files = [file for folder in folders for file in folder.rglob("*.steps")]
    return rows, {file.relative_to(project.artifacts).as_posix(): file.stat().st_size for file in files}


def compared(source: Project, cluster: Cluster, every_s: float) -> dict[str, object]:
    """Both runs, and what they differ in."""
    extra = cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    calm, wild = (source.model_copy(update={"workdir": source.workdir / name}) for name in ("calm", "wild"))
    expected, planned = simulated(calm, JsonReporter())
    killer, began = Killer(cluster, extra, every_s), time.monotonic()
    found, computed = simulated(wild, killer)
    return {
        "kills": killer.kills,
        "node_removed": killer.node_removed,
        "same_bits": found == expected,
        "responses": len(found),
        "steps": sum(planned.values()),
        "steps_computed_again": sum(computed[name] - steps for name, steps in planned.items()),
        "most_allowed": killer.lost_jobs * source.simulation.checkpoint_every,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the project in calm and in chaos."""
    os.environ[MARK] = uuid.uuid4().hex
    source = load_project(Path(sys.argv[1]))
    every_s = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        print(json.dumps(compared(source, cluster, every_s)))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
