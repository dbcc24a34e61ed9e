"""Files of an estimator: for each replicate one with the fit, and one for each chunk of groups."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from tribute.errors import SimulationError
from tribute.estimators.estimator import NamedTensors
from tribute_storage.atomic import write_atomically


def write_tensors(path: Path, kept: NamedTensors, notes: Mapping[str, str]) -> str:
    """Write tensors and notes as safetensors; returns the SHA-256 of the file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}
    content = safetensors.torch.save(tensors, dict(notes))
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def read_tensors(path: Path, sha256: str, device: torch.device) -> NamedTensors:
    """Read the tensors of a file.

    Raises:
        SimulationError: the file is missing, or its SHA-256 differs.
    """
    if not path.is_file() or sha256_of(path) != sha256:
        raise SimulationError(
            f"{path} is missing or differs from the recorded file (SHA-256 {sha256[:12]}...). Restore it from "
            "a backup, or simulate again with other options"
        )
    return safetensors.torch.load_file(path, device=str(device))


def notes_of(path: Path) -> dict[str, str]:
    """Read the notes of a file."""
    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
