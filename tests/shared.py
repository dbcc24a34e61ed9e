"""Folders that are made once for a whole test run, by the first of its processes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A copy of the folder that `make` filled, for this process alone.

    The first process to ask makes the folder; the others wait for it. No other process sees what a test changes.
    """
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made, complete = root / f"made-{name}", root / f"made-{name}.complete"
    with FileLock(root / f"made-{name}.lock"):
        if not complete.exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            make(made)
            complete.touch()
    return Path(shutil.copytree(made, factory.mktemp(name) / name))
