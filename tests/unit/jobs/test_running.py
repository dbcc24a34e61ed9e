"""How far a run is, as `tribute status` reads it."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from filelock import FileLock

from tests.projects import write_project
from tests.unit.jobs.commanding import tribute
from tribute.config import load_project
from tribute_jobs.context import locked
from tribute_jobs.running import FILE, LOCK, RunningFile, running_stage

NOW = f"{datetime.now():%H:%M}"


def at_work(folder: Path, every_s: float = 60.0) -> RunningFile:
    """The file of a run that has done 14 of 24 simulations."""
    folder.mkdir(parents=True, exist_ok=True)
    file = RunningFile(folder, every_s)
    file.started("simulate", "simulate-1")
    file.working("simulations")
    file.advanced(14, 24)
    return file


def test_a_run_at_work_and_the_same_after_its_end(tmp_path: Path) -> None:
    file = at_work(tmp_path)
    with FileLock(tmp_path / LOCK):
        file.tell(file.figures())
        at = running_stage(tmp_path)
        assert at is not None and at.running
        assert at.text().startswith("running, 14 of 24 simulations, ")
        assert at.text().endswith(f", process {os.getpid()}") and ", since " in at.text()
        assert at.fields()["state"] == "running" and at.fields()["total"] == 24
    file.close()
    stopped = running_stage(tmp_path)
    assert stopped is not None and not stopped.running
    assert stopped.text().startswith("stopped at 14 of 24 simulations at ")
    assert stopped.text().endswith("; run the same command again")
    file.started("simulate", "simulate-1")
    file.finished("simulate", "simulate-1", True, "8 simulations")
    assert running_stage(tmp_path) is None


def test_a_lock_of_another_command_does_not_revive_a_killed_run(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    at_work(tmp_path).close()
    content = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(content | {"process": ended.pid}))
    with FileLock(tmp_path / LOCK):
        stage = running_stage(tmp_path)
    assert stage is not None and not stage.running


def test_looking_at_a_run_does_not_keep_another_out(tmp_path: Path) -> None:
    """Status takes the lock for a moment; a run that begins then waits that long."""
    project = load_project(write_project(tmp_path))
    at_work(project.workdir).close()
    for _ in range(20):
        assert running_stage(project.workdir) is not None
        with locked(project):
            assert not (stage := running_stage(project.workdir)) or stage.running


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"stage": "train"}'])
def test_a_file_that_is_not_as_it_was_written_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert running_stage(tmp_path) is None


def test_status_tells_what_runs_and_what_was_stopped(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    workdir = load_project(project).workdir
    file = at_work(workdir)
    file.tell(file.figures())
    with FileLock(workdir / LOCK):
        assert "  simulate  running, 14 of 24 simulations, " in tribute("status", project).text
        running = json.loads(tribute("status", project, "--json").text)["running"]
        assert {"stage", "part", "done", "total", "per_minute", "seconds_left", "memory_bytes"} < running.keys()
    file.close()
    assert "  simulate  stopped at 14 of 24 simulations at " in tribute("status", project).text
    file = at_work(workdir)
    file.started("evaluate", "evaluate-1")
    file.close()
    assert "\n  evaluate  stopped at " in tribute("status", project).text
    file.started("evaluate", "evaluate-1")
    file.finished("evaluate", "evaluate-1", True, "")
    assert json.loads(tribute("status", project, "--json").text)["running"] is None
