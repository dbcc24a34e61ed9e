"""A response on disk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from tribute.errors import SimulationError
from tribute_storage.atomic import write_atomically


@dataclass(frozen=True)
class ResponseFile:
    """Where a unit's response in one replicate lies, and the SHA-256 that it must have."""

    unit_id: str
    replicate: int
    path: Path
    sha256: str

    def verify(self) -> None:
        """Check the file.

        Raises:
            SimulationError: it is not the one that was simulated.
        """
        check_file(self.path, self.sha256, "simulate again under another simulation.checkpoint_every")

    def load(self, device: torch.device) -> Tensor:
        """The response, [P]; raises what `verify` raises."""
        self.verify()
        return safetensors.torch.load_file(self.path, device=str(device))["response"]


def write_response(path: Path, response_P: Tensor) -> str:
    """Write a response as safetensors; the SHA-256 of the file."""
    content = safetensors.torch.save({"response": response_P.contiguous()})
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def check_file(path: Path, sha256: str, otherwise: str) -> None:
    """Check that a file is the one that the lake recorded.

    Raises:
        SimulationError: it is missing or another one; `otherwise` says what to do without a backup.
    """
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise SimulationError(
            f"{path} is missing or is not the file that the lake recorded (SHA-256 {sha256[:12]}...). "
            f"Restore it from a backup, or {otherwise}"
        )


def relative_change(path: Path, other: Path) -> float:
    """|other - response| / |response| of two response files: how far a response depends on its size."""
    response_P, other_P = (safetensors.torch.load_file(each)["response"].double() for each in (path, other))
    return float((other_P - response_P).norm() / response_P.norm().clamp(min=1e-300))
