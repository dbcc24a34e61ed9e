"""Let faults hit two months of a small project, by seed: `python tests/chaos/run.py SEEDS START`.

The same seed draws the same commands and faults; when a worker dies depends on the machine. Figures go to
build/bench/chaos.json.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

from tests.benchmarks.results import write_results  # noqa: E402
from tests.chaos.judging import ENDS, Outcome, judged  # noqa: E402
from tests.chaos.world import made_world  # noqa: E402


def main() -> None:
    seeds, start = (int(argument) for argument in (*sys.argv[1:], "100", "0")[:2])
    begun, outcomes = time.monotonic(), list[Outcome]()
    with tempfile.TemporaryDirectory(prefix="chaos-") as root, made_world(Path(root)) as world:
        print(f"the run without a fault took {time.monotonic() - begun:.0f} s", flush=True)
        for seed in range(start, start + seeds):
            outcome = judged(seed, world)
            outcomes.append(outcome)
            ends = Counter(each.end for each in outcomes)
            told = ", ".join(f"{ends[end]} {end}" for end in ENDS)
            print(f"{len(outcomes)} of {seeds}: {told}; seed {seed}: {', '.join(outcome.hit)}", flush=True)
            for problem in outcome.problems:
                print(f"  {problem}", flush=True)
    figures = figures_of(outcomes, time.monotonic() - begun)
    write_results("chaos", figures)
    sys.exit(1 if figures["failures"] else 0)


def figures_of(outcomes: list[Outcome], seconds: float) -> dict[str, Any]:
    """What build/bench/chaos.json holds."""
    ends = Counter(outcome.end for outcome in outcomes)
    return {
        "seeds": len(outcomes),
        **{end: ends[end] for end in ENDS},
        **{name: sum(getattr(each, name) for each in outcomes) for name in ("lost", "doubled", "tracebacks")},
        "refusals": sum(outcome.refusals for outcome in outcomes),
        "faults": dict(sorted(Counter(hit.partition(":")[0] for each in outcomes for hit in each.hit).items())),
        "steps": dict(sorted(Counter(hit.partition(": ")[2] for each in outcomes for hit in each.hit).items())),
        "first_seed": min(outcome.seed for outcome in outcomes),
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "failures": failures(outcomes),
    }


def failures(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """What went wrong, with the command that repeats it."""
    return [
        {"seed": outcome.seed, "replay": f"make chaos SEEDS=1 START={outcome.seed}", "hit": outcome.hit, **problem}
        for outcome in outcomes
        for problem in outcome.problems
    ]


def commit() -> str:
    """The commit of the code that was run."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
