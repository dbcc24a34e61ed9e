"""What an estimator keeps, on disk: one file of its fit for every replicate, one of every chunk of groups."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from tribute.errors import SimulationError
from tribute.estimators.estimator import Kept
from tribute_storage.atomic import write_atomically


def write_kept(path: Path, kept: Kept, notes: Mapping[str, str]) -> str:
    """Write tensors, and notes beside them, as safetensors; the SHA-256 of the file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}
    content = safetensors.torch.save(tensors, dict(notes))
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def read_kept(path: Path, sha256: str, device: torch.device) -> Kept:
    """The tensors of a file.

    Raises:
        SimulationError: it is missing, or is not the file of this hash.
    """
    if not path.is_file() or sha256_of(path) != sha256:
        raise SimulationError(
            f"{path} is missing or is not the file that was recorded (SHA-256 {sha256[:12]}...). Restore it from "
            "a backup, or simulate again with other simulation.options"
        )
    return safetensors.torch.load_file(path, device=str(device))


def notes_of(path: Path) -> dict[str, str]:
    """The notes in a file that is there."""
    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
