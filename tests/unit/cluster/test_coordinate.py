"""Ray's start, where it cannot."""

import os
import subprocess
import sys
from pathlib import Path

START = """
from tribute.cluster import ray_session
from tribute.config import ClusterSettings
from tribute.errors import MachineError
try:
    with ray_session(ClusterSettings(workers=1)):
        print("started")
except MachineError as error:
    print(error)
"""


def test_a_long_path_for_temporary_files_is_named_with_its_remedy(tmp_path: Path) -> None:
    """Paths of sockets have 107 bytes; Ray gives them about 60 of its own."""
    long = tmp_path / ("x" * 80)
    long.mkdir()
    environment = {**os.environ, "TMPDIR": str(long)}
    told = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, env=environment, check=True
    )
    assert f"folder for temporary files, {long}: " in told.stdout
    assert "107 bytes" in told.stdout and "Set TMPDIR to a short path" in told.stdout
