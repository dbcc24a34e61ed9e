"""What a setting keeps for the part that judges other libraries: the truth, and tribute's own methods.

A digest of what they follow from stands beside them: another model, other queries or removals are refused.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.benchmarks.evaluation.truth import Costs, Truth
from tests.benchmarks.evaluation.versus import Scored
from tests.benchmarks.worlds import World
from tribute.evaluation import GroundTruth

FILE = "kept.npz"


class Kept(NamedTuple):
    """The truth, and tribute's methods by name on the judged queries; baselines are left out."""

    truth: Truth
    own: Mapping[str, Scored]

    def write(self, folder: Path, digest: str) -> None:
        """Write it beside the project."""
        ground, costs = self.truth.ground, {name: scored.costs for name, scored in self.own.items()}
        head = {
            "digest": digest,
            "costs": costs,
            "sets": list(ground.sets),
            "others": {name: len(each) for name, each in self.truth.others.items()},
        }
        arrays = {f"set {name}": mask for name, mask in ground.sets.items()}
        arrays |= {f"lost {name} {seed}": each for (name, seed), each in ground.lost.items()}
        arrays |= {f"other {name} {k}": a for name, each in self.truth.others.items() for k, a in enumerate(each)}
        arrays |= {f"own {index}": scored.lds_Q for index, scored in enumerate(self.own.values())}
        np.savez(folder / FILE, head=json.dumps(head), singles=np.stack(ground.leave_one_out), **arrays)

    @classmethod
    def read(cls, folder: Path, digest: str, command: str) -> "Kept":
        """Read it.

        Args:
            command: the one that makes it.

        Raises:
            SystemExit: it is missing, or follows from something else.
        """
        if not (folder / FILE).exists():
            sys.exit(f"{folder} lacks the retrainings that other libraries are judged by. First run: {command}")
        with np.load(folder / FILE) as file:
            head = json.loads(str(file["head"]))
            if head["digest"] != digest:
                sys.exit(
                    f"{folder / FILE} holds retrainings of {head['digest'][:12]}, expected {digest[:12]}: model, "
                    f"queries or removals have changed. Make it again: {command}"
                )
            lost = {(name, "same"): file[f"lost {name} same"] for name in head["sets"]}
            ground = GroundTruth(list(file["singles"]), {n: file[f"set {n}"] for n in head["sets"]}, lost)
            others = {name: [file[f"other {name} {k}"] for k in range(n)] for name, n in head["others"].items()}
            own = {
                name: Scored(file[f"own {index}"], Costs(*costs))
                for index, (name, costs) in enumerate(head["costs"].items())
            }
        return cls(Truth(ground, others), own)


def digest_of(world: World, seed: int, plan: object) -> str:
    """SHA-256 of the model that is judged, of the queries, and of what else the truth follows from."""
    digest = hashlib.sha256(repr((world.queries.sha256, plan)).encode())
    for theta_P in world.finals([seed]):
        digest.update(theta_P.numpy().tobytes())
    return digest.hexdigest()
