"""What a Ray worker started from the repository root finds, and what happens when one dies."""

import importlib.util
import os
import signal
import sysconfig
import threading
import time
from pathlib import Path

import pytest
import ray

from tests.e2e.tables import fingerprints
from tests.projects import write_project
from tribute.config import Project, load_project
from tribute_jobs.pipeline import run


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_finds_the_standard_library_s_platform() -> None:
    found = ray.get(ray.remote(importlib.util.find_spec).remote("platform"))
    assert found.origin == str(Path(sysconfig.get_paths()["stdlib"]) / "platform.py")


class Killer:
    """A reporter that kills one worker process in the middle of a stage."""

    def __init__(self, stage: str) -> None:
        self.stage, self.killed = stage, []

    def started(self, stage: str, run_id: str) -> None:
        del run_id
        if stage == self.stage:
            threading.Thread(target=self._kill, daemon=True).start()

    def _kill(self) -> None:
        for _ in range(200):
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and b"ray::SourceShard." in read(process / "cmdline"):
                    os.kill(int(process.name), signal.SIGKILL)
                    self.killed.append(int(process.name))
                    return
            time.sleep(0.02)

    def advanced(self, done: int, total: int) -> None:
        del done, total

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        del stage, run_id, new, summary

    def warned(self, message: str) -> None:
        raise AssertionError(message)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("stage", ["train", "simulate"])
def test_a_killed_worker_is_replaced_and_the_tables_are_the_same(
    finished: Project, tmp_path: Path, stage: str
) -> None:
    project = load_project(write_project(tmp_path / stage))
    killer = Killer(stage)
    run(project, "2026-10", killer)
    assert len(killer.killed) == 1
    assert fingerprints(project.lake_root) == fingerprints(finished.lake_root)
