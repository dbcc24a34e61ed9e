"""What every peer is given: the networks, their training examples and the queries; and how its work is timed.

Runs in the environment of the peers, where tribute is not installed.

Legend: M models, K checkpoints, P parameters, N training examples, Q queries, D features, C classes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.data import TensorDataset

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}
REPEATS = 7
Found = TypeVar("Found")


class Scored(NamedTuple):
    """Scores [N, Q], positive where the example helped the query, with processor seconds of one thread."""

    method: str
    score_NQ: Tensor
    models: int
    prepare_seconds: float
    """Of what the peer does once for all queries and keeps."""
    query_seconds: float
    """Of a query, in all models."""
    stored_bytes: int
    """Of what it keeps for later queries, beside models, recorded states and training examples."""


@dataclass(frozen=True)
class Job:
    """Networks of one shape, each trained on the same examples under a seed of its own."""

    layers: tuple[int, ...]
    activation: str
    theta_MP: Tensor
    judged: int
    """The first so many models are those that every method may use; the others are for TRAK alone."""
    checkpoint_KP: Tensor
    rate_K: Tensor
    train: TensorDataset
    queries: TensorDataset
    forward_rows: int
    """Rows of a plain forward pass."""

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read what `tests.benchmarks.peers` wrote."""
        with np.load(path) as file:
            held = {name: torch.from_numpy(file[name]) for name in file.files if name != "activation"}
            activation = str(file["activation"])
        return cls(
            tuple(held["layers"].tolist()),
            activation,
            held["theta_MP"],
            int(held["judged"]),
            held["checkpoint_KP"],
            held["rate_K"],
            TensorDataset(held["train_ND"], held["label_N"]),
            TensorDataset(held["query_QD"], held["label_Q"]),
            int(held["forward_rows"]),
        )

    def network(self, theta_P: Tensor) -> nn.Sequential:
        """The model with these parameters, in evaluation mode."""
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(self.layers):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[self.activation]()]
        model = nn.Sequential(*layers[:-1])
        assert parameters_to_vector(model.parameters()).numel() == theta_P.numel()
        vector_to_parameters(theta_P.clone(), model.parameters())
        return model.eval()

    def state(self, theta_P: Tensor) -> dict[str, Tensor]:
        """The same as a state dictionary."""
        return {name: value.clone() for name, value in self.network(theta_P).state_dict().items()}

    def forward_seconds(self) -> float:
        """Processor seconds of a plain forward pass, per query: the unit of a query's cost."""
        model, (query_QD, label_Q) = self.network(self.theta_MP[0]), self.queries.tensors
        parts = list(zip(query_QD.split(self.forward_rows), label_Q.split(self.forward_rows), strict=True))

        def forward() -> list[Tensor]:
            with torch.no_grad():
                return [margins(model(part_BD), label_B) for part_BD, label_B in parts]

        return float(np.median([timed(forward)[1] for _ in range(REPEATS)][1:])) / len(self.queries)


def margins(logits_BC: Tensor, label_B: Tensor) -> Tensor:
    """log p - log(1 - p) of the labels, [B]: what tribute's classifier measures."""
    others_BC = logits_BC.scatter(1, label_B[:, None], -torch.inf)
    return logits_BC.gather(1, label_B[:, None])[:, 0] - others_BC.logsumexp(1)


def timed(run: Callable[[], Found]) -> tuple[Found, float]:
    """What it returns, and the processor seconds that it took."""
    began = time.process_time()
    found = run()
    return found, time.process_time() - began


def bytes_of_files(folder: Path, ending: str) -> int:
    """What the files in a folder take whose names end so."""
    return sum(path.stat().st_size for path in folder.rglob(f"*{ending}"))


def scored(
    method: str,
    models: int,
    prepare_seconds: float,
    stored_bytes: int,
    score: Callable[[TensorDataset], Tensor],
    queries: TensorDataset,
) -> Scored:
    """Time a peer's scoring of all queries in one call, the first call being left out.

    That is kind to those who go through the training examples, or even build a Hessian, anew in every call.
    """
    score(TensorDataset(*(each[:1] for each in queries.tensors)))
    score_NQ, seconds = timed(lambda: score(queries))
    return Scored(method, score_NQ, models, prepare_seconds, seconds / len(queries), stored_bytes)
