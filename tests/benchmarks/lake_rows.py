"""What the benchmark of the lake writes: a month of influences, queries and rights, drawn with fixed seeds.

Legend: R replicates, Q queries, S sources of a job.
"""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tribute.readout import influence_rows
from tribute_storage import SCHEMAS, Lake, StagedFile

QUERIES, SOURCES = 50_000, 2_000
RUN, PERIOD = "attribute-benchmark", "2026-10"
_DRAWN = np.random.default_rng(0)
SOURCE_IDS = [f"publisher-{index // 20:03}/imprint-{index:05}" for index in range(SOURCES)]
QUERY_IDS = [_DRAWN.bytes(16).hex() for _ in range(QUERIES)]


class Step(NamedTuple):
    """What a step in a process of its own came to: its answer, seconds of work, and peak memory, GiB."""

    answer: Any
    seconds: float
    peak_gib: float


def step(function: Callable[[], Any]) -> Step:
    """Time a step; called in its process."""
    began = time.perf_counter()
    answer = function()
    seconds = time.perf_counter() - began
    return Step(answer, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def alone(function: Callable[..., Any], *args: object) -> Step:
    """A step in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(step, partial(function, *args)).result()


def write(root: Path, sampled: bool, replicates: int, job: tuple[int, ...]) -> tuple[StagedFile, Step]:
    """Stage a job's influences, drawn heavy-tailed; only the product's part is timed."""
    rng = np.random.default_rng((1, job[0]))
    shape = replicates, QUERIES, len(job)
    influence_RQS = np.multiply(rng.standard_t(3, shape), 1e-3).astype(np.float32)
    error_RQS = rng.gamma(2, 1e-4, shape).astype(np.float32) if sampled else np.zeros(shape, np.float32)
    source_ids = [SOURCE_IDS[source] for source in job]

    def stage() -> StagedFile:
        rows = influence_rows(RUN, source_ids, QUERY_IDS, influence_RQS, error_RQS)
        return Lake(root).stage("influence", rows)

    written = step(stage)
    return written.answer, written


def usage(run_id: str, query_ids: list[str]) -> pa.Table:
    """Rows of `queries`, spread over the month."""
    rng = np.random.default_rng(2)
    begin, month = datetime(2026, 10, 1, tzinfo=UTC), timedelta(days=31)
    rows = [
        {
            "run_id": run_id,
            "simulate_run": "simulate-benchmark",
            "period": PERIOD,
            "query_id": query_id,
            "origin": "batch",
            "time": begin + month * float(rng.uniform()),
            "customer_id": f"customer-{rng.integers(200):03}",
            "weight": float(rng.gamma(2)),
            "inclusion_probability": 1.0,
            "readout_probability": 1.0,
            "similarity": float(rng.uniform()),
            "unlike_corpus": False,
            "measurement_nats": float(-rng.gamma(3)),
            "content_sha256": rng.bytes(32).hex(),
        }
        for query_id in query_ids
    ]
    return pa.Table.from_pylist(rows, SCHEMAS["queries"])


def rights() -> pa.Table:
    """Rows of `rights`: every tenth source is split between two publishers."""
    rows = []
    for index, source_id in enumerate(SOURCE_IDS):
        parts = [(index // 20, "1")] if index % 10 else [(index // 20, "1/3"), ((index // 20 + 1) % 100, "2/3")]
        rows += [
            {"run_id": RUN, "source_id": source_id, "publisher_id": f"publisher-{payee:03}", "split": split}
            for payee, split in parts
        ]
    return pa.Table.from_pylist(rows, SCHEMAS["rights"])
