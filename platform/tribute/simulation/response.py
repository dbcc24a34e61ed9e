"""Responses on disk, and the one-step response of tail-patch.

Legend: P parameters, S sources.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tribute.files.digests import content_sha256
from tribute.files.sealed import MAKE, Remedy, require_recorded
from tribute.files.tensors import read_tensors, tensor_content
from tribute.tasks import Parameters, combined, joined
from tribute.training import MicroBatch, Recipe, State, advance
from tribute_storage.atomic import write_atomically


@dataclass(frozen=True)
class ResponseFile:
    """Path of a unit's response in one replicate, and its recorded SHA-256."""

    unit_id: str
    replicate: int
    path: Path
    sha256: str
    remedy: Remedy = MAKE
    """For a file that is missing or damaged."""

    def verify(self) -> None:
        """Check that the file is the recorded one.

        Raises:
            DamagedFile: the file is missing, or its SHA-256 differs.
        """
        require_recorded(self.path, self.sha256, remedy=self.remedy)

    def load(self, device: torch.device) -> dict[str, Tensor]:
        """Read the response of each parameter in the scope, in at least float32; raises what `verify` raises."""
        self.verify()
        return self.read(device)

    def read(self, device: torch.device) -> dict[str, Tensor]:
        """`load` without a check; on the CPU, the file is mapped into memory."""
        return combined(_widened, read_tensors(self.path, device))


def _widened(value: Tensor) -> Tensor:
    return value.to(torch.promote_types(value.dtype, torch.float32))


def write_response(path: Path, response: Parameters, precision: str = "float32") -> str:
    """Write the response of each parameter, and return the SHA-256 of the file.

    Args:
        precision: float32 keeps every number as it is; bfloat16 rounds it to 8 bits, an error of at most 0.4%.
    """
    if precision == "bfloat16":
        response = combined(Tensor.bfloat16, response)
    content = tensor_content(response)
    write_atomically(path, content)
    return content_sha256(content)


def relative_change(path: Path, other: Path) -> float:
    """|other - response| / |response| of two response files."""
    response_P, other_P = (joined(read_tensors(each)).double() for each in (path, other))
    return float((other_P - response_P).norm() / response_P.norm().clamp(min=1e-300))


def patch_responses(recipe: Recipe, state: State, sources: tuple[int, ...], examples: int = 64) -> Tensor:
    """theta - theta after one more training step on each source's own examples, [S, P].

    The step uses the optimizer state of `state` and the mean learning rate of the training; the last rate of a
    decaying schedule would hardly change the parameters.

    Args:
        examples: largest number of examples in a step, evenly spaced over the source.

    Source: tail-patch of TrackStar, arXiv 2410.17413, applied to sources.
    """
    rate, responses = float(recipe.schedule.rates.mean()), []
    for source in sources:
        members = np.flatnonzero(recipe.data.source_N == source)
        chosen = members[np.unique(np.linspace(0, len(members) - 1, min(examples, len(members))).astype(int))]
        batch, _ = recipe.data.batch(chosen, recipe.device)
        weights = torch.ones(len(chosen), device=recipe.device)
        after = advance(recipe.task, recipe.rule, state, [MicroBatch(batch, weights)], rate, recipe.steps)
        responses.append(recipe.task.flatten(combined(torch.sub, state.theta, after.theta)))
    return torch.stack(responses)
