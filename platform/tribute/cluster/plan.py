"""How work is cut into jobs. The cut follows the settings alone, never the number of workers, so that results
are the same bits on any cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tribute.simulation import ResponseFile


@dataclass(frozen=True)
class TrainJob:
    """Train one replicate and keep its trajectory in `folder`."""

    replicate: int
    seed: int
    folder: Path


@dataclass(frozen=True)
class SimulateJob:
    """Simulate the responses of some sources (indices in the training set) in one replicate."""

    replicate: int
    seed: int
    chunk: int
    sources: tuple[int, ...]
    start_step: int
    folder: Path


@dataclass(frozen=True)
class ReadOutJob:
    """Read out all queries for some sources, each with its response files in the order of the replicates."""

    run_id: str
    chunk: int
    sources: tuple[tuple[str, list[ResponseFile]], ...]


def chunks(count: int, largest: int) -> list[tuple[int, ...]]:
    """Indices 0 to `count` - 1 in the fewest runs of at most `largest`, as even as can be."""
    parts = -(-count // largest)
    bounds = [count * part // parts for part in range(parts + 1)]
    return [tuple(range(begin, end)) for begin, end in pairwise(bounds)]


def owners(source_ids: Sequence[str], tokens: Sequence[int], shards: int) -> list[list[str]]:
    """Which sources each shard owns: the largest first, each to the shard that holds least so far."""
    held = [0] * shards
    owned: list[list[str]] = [[] for _ in range(shards)]
    for size, source_id in sorted(zip(tokens, source_ids, strict=True), key=lambda pair: (-pair[0], pair[1])):
        least = held.index(min(held))
        held[least] += size
        owned[least].append(source_id)
    return owned
