"""One of two processes of a run: `python -m tests.unit.training.trainer.rank FOLDER [NAME=VALUE ...]`."""

import json
import sys
from pathlib import Path

import torch

from tests.unit.training.trainer.runs import Run, corpus

TWO_RANKS = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "max_grad_norm": 0.5,
    "max_steps": 8,
    "ddp_backend": "gloo",
}


def two_ranks(folder: Path, options: dict) -> Run:
    """The run that both processes have, with its model saved."""
    return Run(folder, corpus(), arguments=TWO_RANKS | options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run = two_ranks(Path(sys.argv[1]), json.loads(sys.argv[2]))
    torch.save(run.train(), run.folder / f"final-{sys.argv[3]}.pt")
