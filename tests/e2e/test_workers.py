"""Imports of a Ray worker started from the repository root, and recovery when a worker dies."""

import importlib.util
import os
import signal
import sysconfig
import threading
import time
from pathlib import Path

import psutil
import pytest
import ray

from tests.e2e.tables import fingerprints
from tests.projects import RETRAINED, write_project
from tribute.config import Project, load_project
from tribute_jobs.pipeline import run


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_finds_the_standard_library_s_platform() -> None:
    found = ray.get(ray.remote(importlib.util.find_spec).remote("platform"))
    assert found.origin == str(Path(sysconfig.get_paths()["stdlib"]) / "platform.py")


class Killer:
    """A reporter that kills one worker process in the middle of a stage."""

    def __init__(self, stage: str) -> None:
        self.stage, self.ended, self.killed = stage, False, []

    def planned(self, kept, again) -> None:
        del kept, again

    def started(self, stage: str, run_id: str) -> None:
        del run_id
        if stage == self.stage:
            threading.Thread(target=self._kill, daemon=True).start()

    def _kill(self) -> None:
        while not self.ended:
            for process in psutil.Process().children(recursive=True):
                if "ray::SourceShard." in title(process):
                    process.kill()
                    self.killed.append(process.pid)
                    return
            time.sleep(0.005)

    def working(self, part: str) -> None:
        del part

    def advanced(self, done: float, total: int) -> None:
        del done, total

    def close(self) -> None:
        pass

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        del run_id, new, summary
        self.ended = self.ended or stage == self.stage

    def warned(self, message: str) -> None:
        """This market is small, so its alarms ring; that a worker was lost is no warning."""
        assert "above the limit of" in message, message


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


class MidwayKiller(Killer):
    """Kills the worker that has just computed some steps of a job, checkpoints behind it and steps before it."""

    def __init__(self, artifacts: Path, steps: range) -> None:
        super().__init__("simulate")
        self.artifacts, self.steps, self.interrupted = artifacts, steps, Path()

    def _kill(self) -> None:
        while not self.ended:
            for path in self.artifacts.glob("*/replicate-*/*/*.steps"):
                if path.stat().st_size in self.steps and (holder := process_with(path)):
                    os.kill(holder, signal.SIGKILL)
                    self.killed.append(holder)
                    self.interrupted = path.relative_to(self.artifacts)
                    return
            time.sleep(0.001)


def process_with(path: Path) -> int | None:
    """A process that has the file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == path:
                return int(link.parts[2])
        except OSError:
            continue
    return None


def computed_steps(project: Project) -> dict[Path, int]:
    """How many steps each simulation job of the project computed, lost ones included."""
    files = project.artifacts.glob("*/replicate-*/*/*.steps")
    return {path.relative_to(project.artifacts): path.stat().st_size for path in files}


@pytest.mark.slow
def test_a_worker_killed_in_training_is_replaced_and_the_tables_are_the_same(
    finished: Project, tmp_path: Path
) -> None:
    project = load_project(write_project(tmp_path / "train", valuation=RETRAINED, cluster={"workers": 2}))
    killer = Killer("train")
    run(project, "2026-10", killer)
    assert len(killer.killed) == 1
    assert fingerprints(project.lake_root) == fingerprints(finished.lake_root)


def test_a_worker_killed_in_a_simulation_loses_one_checkpoint_interval_at_most(
    finished: Project, tmp_path: Path
) -> None:
    project = load_project(write_project(tmp_path / "simulate", valuation=RETRAINED, cluster={"workers": 2}))
    every = project.simulation.checkpoint_every
    killer = MidwayKiller(project.artifacts, range(every + 1, 3 * every))
    run(project, "2026-10", killer)
    assert len(killer.killed) == 1
    whole = computed_steps(finished)
    again = {path: steps - whole[path] for path, steps in computed_steps(project).items()}
    assert again.keys() == whole.keys()
    assert whole[killer.interrupted] > every
    assert min(again.values()) == 0
    assert sum(again.values()) <= every
    assert fingerprints(project.lake_root) == fingerprints(finished.lake_root)
