"""Run benchmarks by name: `python tests/benchmarks/run.py spine` (or `all`); results in build/bench/."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = (
    "command_line",
    "spine",
    "simulation",
    "transformer",
    "language",
    "language_fidelity",
    "scaling",
    "evaluation",
    "lake",
    "adversary",
    "valuation",
    "settle",
    "service",
)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    asked = NAMES if sys.argv[1:] in ([], ["all"]) else tuple(sys.argv[1:])
    unknown = sorted(set(asked) - set(NAMES))
    if unknown:
        sys.exit(f"No benchmark {', '.join(unknown)}. There are: {', '.join(NAMES)}")
    for name in asked:
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main()
