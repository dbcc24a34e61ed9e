"""Two processes of a run, for each of some settings: `python -m tests.unit.training.trainer.rank FOLDER PORT`."""

import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import torch

from tests.unit.training.trainer.runs import Run, corpus

TWO_RANKS = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "max_grad_norm": 0.5,
    "ddp_backend": "gloo",
}
SETTINGS: dict[str, dict[str, Any]] = {"of all": {}, "of each": {"average_tokens_across_devices": False}}


def two_ranks(folder: Path, name: str) -> Run:
    """The run that both processes have, with its model saved."""
    return Run(folder / name, corpus(), arguments=TWO_RANKS | SETTINGS[name])


def train(folder: Path, rank: int) -> None:
    """Train as one of the two, under each of the settings."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    for name in SETTINGS:
        run = two_ranks(folder, name)
        torch.save(run.train(), run.folder / f"final-{rank}.pt")


if __name__ == "__main__":
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": sys.argv[2]}
    forked = multiprocessing.get_context("fork").Process
    started = [forked(target=train, args=(Path(sys.argv[1]), rank)) for rank in (0, 1)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in started))
