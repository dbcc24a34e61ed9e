"""Two processes on gloo record one run."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.training.trainer.rank import two_ranks
from tribute.training.recording import read_recording


def run_both(folder: Path, options: dict) -> None:
    """Run both ranks to their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.unit.training.trainer.rank", str(folder), json.dumps(options)]
    started = [
        subprocess.Popen(
            [*command, rank],
            env=common | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said


@pytest.mark.parametrize("options", [{}, {"average_tokens_across_devices": False}], ids=["of all", "of each"])
def test_the_first_rank_records_what_both_did(tmp_path: Path, options: dict) -> None:
    two_ranks(tmp_path, options)
    run_both(tmp_path, options)
    run = two_ranks(tmp_path, options)
    final, other = (torch.load(tmp_path / f"final-{rank}.pt") for rank in "01")
    torch.testing.assert_close(final, other, rtol=0, atol=0)
    assert len(read_recording(run.recorded).order.passes(0)) == 4
    assert run.drift(final) < 1e-4
