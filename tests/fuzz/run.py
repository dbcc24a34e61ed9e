"""Draw small projects and judge how the product takes them: `python tests/fuzz/run.py SEEDS START`.

The same seed draws the same project on every machine. Figures go to build/bench/fuzz.json.
"""

import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from tests.benchmarks.results import write_results  # noqa: E402
from tests.fuzz.judging import ENDS, Outcome, judged  # noqa: E402

PROCESSES = 2
AT_ONCE = 10
"""Seeds that a process takes at once."""


def main() -> None:
    seeds, start = (int(argument) for argument in (*sys.argv[1:], "100", "0")[:2])
    begun, outcomes = time.monotonic(), list[Outcome]()
    for some in _judged(range(start, start + seeds)):
        outcomes += some
        ends = Counter(outcome.end for outcome in outcomes)
        print(f"{len(outcomes)} of {seeds}: {', '.join(f'{ends[end]} {end}' for end in ENDS)}", flush=True)
        for failure in _failures(some):
            print(f"  {failure}", flush=True)
    figures = figures_of(outcomes, time.monotonic() - begun)
    write_results("fuzz", figures)
    sys.exit(1 if figures["failures"] else 0)


def figures_of(outcomes: list[Outcome], seconds: float) -> dict[str, Any]:
    """What build/bench/fuzz.json holds."""
    ends = Counter(outcome.end for outcome in outcomes)
    kinds = Counter(kind for outcome in outcomes for kind in outcome.kinds)
    faults = Counter(fault for outcome in outcomes for fault in outcome.faults)
    return {
        "cases": len(outcomes),
        **{end: ends[end] for end in ENDS},
        "seconds": round(seconds, 1),
        "first_seed": min(outcome.seed for outcome in outcomes),
        "failures": _failures(outcomes),
        "kinds": dict(sorted(kinds.items())),
        "faults": dict(sorted(faults.items())),
    }


def _failures(outcomes: list[Outcome]) -> list[dict[str, object]]:
    return [
        {"seed": outcome.seed, "replay": f"make fuzz SEEDS=1 START={outcome.seed}", **failure}
        for outcome in sorted(outcomes, key=lambda each: each.seed)
        for failure in outcome.failures
    ]


def _judged(seeds: range) -> Iterator[list[Outcome]]:
    parts = [seeds[place : place + AT_ONCE] for place in range(0, len(seeds), AT_ONCE)]
    processes = min(PROCESSES, os.cpu_count() or 1, len(parts))
    if processes == 1:
        yield from map(judged_seeds, parts)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(judged_seeds, part) for part in parts]):
            yield done.result()


def judged_seeds(seeds: range) -> list[Outcome]:
    """The outcomes of some seeds, on one thread."""
    torch.set_num_threads(1)
    return [judged(seed) for seed in seeds]


if __name__ == "__main__":
    main()
