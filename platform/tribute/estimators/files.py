"""Files of an estimator: for each replicate one with the fit, and one for each chunk of groups."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from tribute.estimators.estimator import NamedTensors
from tribute.files.sealed import require_recorded, write_sealed


def write_tensors(path: Path, kept: NamedTensors, notes: Mapping[str, str]) -> str:
    """Write tensors and notes as safetensors; returns the SHA-256 of the file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}
    return write_sealed(path, safetensors.torch.save(tensors, dict(notes)))


def read_tensors(path: Path, sha256: str, device: torch.device) -> NamedTensors:
    """Read the tensors of a file.

    Raises:
        DamagedFile: the file is missing, or its SHA-256 differs.
    """
    require_recorded(path, sha256)
    return safetensors.torch.load_file(path, device=str(device))


def notes_of(path: Path) -> dict[str, str]:
    """Read the notes of a file."""
    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
