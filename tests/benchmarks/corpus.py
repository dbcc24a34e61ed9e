"""What reading a corpus costs: batches from mapped shards beside batches from memory.

- `throughput_from_shards`: steps of a training per second of processor time with batches from mapped shards, over
  those with batches from memory; and the same for the batches alone. Both alternate in one process, the least time
  of each counts. Target .95.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.results import update_results
from tests.unit.corpus.snapshots import of_columns
from tribute.config import TaskSettings, TrainingSettings
from tribute.corpus import write_snapshot
from tribute.training import Recipe, TrainingSet, snapshot_training_set

TARGET = 0.95
SOURCES, ROWS, WINDOW = 20, 200_000, 129
SHARD_BYTES = 2**23
STEPS, ROUNDS = 15, 16
TASK = TaskSettings(name="byte_lm", options={"width": 32, "layers": 1, "heads": 2, "context": WINDOW - 1})
TRAINING = TrainingSettings(batch_size=16)


def least_seconds(*calls: Callable[[], object]) -> list[float]:
    """The least processor time of each call, of `ROUNDS` in one order and the other by turns."""
    spent = np.empty((ROUNDS, len(calls)))
    for index, seconds in enumerate(spent):
        for place in range(len(calls))[:: 1 if index % 2 else -1]:
            began = time.process_time()
            calls[place]()
            seconds[place] = time.process_time() - began
    return [float(each) for each in spent.min(0)]


def throughput_from_shards(folder: Path) -> dict[str, float]:
    """Steps and batches per second of processor time from mapped shards, over those from memory."""
    stream = np.random.default_rng(0).integers(0, 256, ROWS * (WINDOW - 1) + 1).astype(np.int16)
    tokens = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(stream, WINDOW)[:: WINDOW - 1])
    parts = {f"source-{n:02d}": {"tokens": own} for n, own in enumerate(np.split(tokens, SOURCES))}
    corpus = of_columns({name: (own, {"tokens": own["tokens"][:0]}) for name, own in parts.items()})
    write_snapshot(corpus, folder / "corpus", SHARD_BYTES)
    sets = TrainingSet.assemble(parts), snapshot_training_set(folder / "corpus")
    recipes = [Recipe(TASK, TRAINING, data, seed=0) for data in sets]
    state, everything = recipes[0].initial(), torch.ones(SOURCES)
    chosen = np.random.default_rng(1).integers(0, ROWS, (100 * STEPS, TRAINING.batch_size))

    def train(recipe: Recipe) -> object:
        return recipe.run(state, range(STEPS), everything)

    def draw(data: TrainingSet) -> object:
        for indices_B in chosen:
            data.batch(indices_B, torch.device("cpu"))
        return None

    [in_memory, mapped] = least_seconds(*(lambda r=each: train(r) for each in recipes))
    [drawn_in_memory, drawn_mapped] = least_seconds(*(lambda d=each: draw(d) for each in sets))
    return {
        "ratio": in_memory / mapped,
        "target": TARGET,
        "steps_per_s": STEPS / mapped,
        "batches_ratio": drawn_in_memory / drawn_mapped,
        "batch_us": 1e6 * drawn_mapped / len(chosen),
        "batch_from_memory_us": 1e6 * drawn_in_memory / len(chosen),
        "step_us": 1e6 * in_memory / STEPS,
        "shards": len(list((folder / "corpus").glob("*.shard"))),
    }


def main() -> None:
    """Write build/bench/corpus.json."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = throughput_from_shards(Path(folder))
    print({name: round(value, 3) for name, value in figures.items()})
    update_results("corpus", {"throughput_from_shards": figures})


if __name__ == "__main__":
    main()
