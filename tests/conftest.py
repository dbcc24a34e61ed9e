"""Numerics run on one thread and deterministically; the demo runs once; a test that hangs is ended and named."""

import os

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads that wait for one another crawl on a busy machine

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.shared import made_once
from tribute_jobs.commands.setup import write_demo

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # a machine that does other work too draws and runs examples slowly

DEMO_PERIOD = "2026-10"
SMALLER = {"max_bytes": (180000, 60000), "budget": (10, 4)}
"""Less text and fewer trainings than the demo has: its tests need ten publishers, not their figures."""
HANGS = (
    "The time limit catches what hangs. The slowest test takes a minute on two idle cores and is given twenty, so "
    "that no busy machine fails it. The stacks above show where this one waits."
)


@pytest.fixture(autouse=True)
def deterministic() -> None:
    """One thread, deterministic kernels, one seed."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


@pytest.fixture
def float64():
    """Double precision for the length of a test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `tribute demo` has run at a smaller size, once for all tests of a run."""
    command = [sys.executable, "-m", "tribute_jobs.cli", "demo", "--period", DEMO_PERIOD, "--json"]

    def run_demo(folder: Path) -> None:
        path = write_demo(folder / "tribute-demo")
        for name, (before, after) in SMALLER.items():
            text = path.read_text()
            assert f"{name}: {before}" in text
            path.write_text(text.replace(f"{name}: {before}", f"{name}: {after}"))
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    return made_once(tmp_path_factory, "demo", run_demo)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a test that was ended for its time what that means."""
    report = yield
    if report.failed and "from pytest-timeout" in report.longreprtext:
        report.sections.append(("Time limit", HANGS))
    return report
