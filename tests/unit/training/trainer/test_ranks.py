"""Two processes on gloo record one run."""

import socket
import subprocess
import sys
from pathlib import Path

import torch

from tests.unit.training.trainer.rank import SETTINGS, two_ranks
from tribute.training.recording import read_recording


def run_both(folder: Path) -> None:
    """Run both ranks to their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "tests.unit.training.trainer.rank", str(folder), port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_first_rank_records_what_both_did(tmp_path: Path) -> None:
    for name in SETTINGS:
        two_ranks(tmp_path, name)
    run_both(tmp_path)
    for name in SETTINGS:
        run = two_ranks(tmp_path, name)
        final, other = (torch.load(run.folder / f"final-{rank}.pt") for rank in "01")
        torch.testing.assert_close(final, other, rtol=0, atol=0)
        assert len(read_recording(run.recorded).order.passes(0)) == 4
        assert run.adopted(final) < 1e-4
