"""List the benchmarks, or run some by name, as `python tests/benchmarks/run.py spine` (or `all`)."""

import importlib
import sys
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]


class Benchmark(NamedTuple):
    """What a benchmark measures, and about how many minutes it takes on two idle cores; None: not known yet.

    ``parts``: what SETTING may name, to run that alone.
    """

    measures: str
    minutes: int | None
    parts: str = ""


BENCHMARKS = {
    "command_line": Benchmark("a refused argument, the help and printed reports: seconds of processor time", 1),
    "spine": Benchmark("the demo: seconds, memory, its shares against retraining", 4),
    "simulation": Benchmark("modes, horizons and replicates of the simulation, on MNIST", 21),
    "transformer": Benchmark("the same on a small transformer, and a default of few retrained sources", 15),
    "language": Benchmark("language models: cost of simulations and read-outs, memory, responses", 10),
    "language_fidelity": Benchmark(
        "a pretrained language model: values against retraining without each source", 50, "documentation mixed"
    ),
    "scaling": Benchmark("20 to 2,000 sources, workers, memory, workers that are killed", None),
    "evaluation": Benchmark(
        "read-outs, estimators and, with PEERS=1, other libraries: quality against cost",
        None,
        "thousand smooth rough transformer months thousand-peers smooth-peers rough-peers",
    ),
    "canonical": Benchmark(
        "the settings that others publish, beside their figures, judged from a bank of retrainings",
        75,
        "logistic mlp four_nine transformer",
    ),
    "corpus": Benchmark("batches from mapped shards beside batches from memory", 1),
    "lake": Benchmark("100 million influences written, and read in comparison with bare DuckDB", None),
    "adversary": Benchmark("what copying, splitting, padding and flooding gain", None),
    "valuation": Benchmark("every way to value sources, by budget, on five markets where worth is known", None),
    "settle": Benchmark("10 million queries and 1,000 publishers settled", None),
    "service": Benchmark(
        "the service beside an application that only runs the model's forward pass",
        61,
        "exact-10 distilled-10 distilled-100 distilled-1000 in-parts flatness kills",
    ),
}


def main() -> None:
    sys.path.insert(0, str(ROOT))
    asked = sys.argv[1:]
    if not asked:
        show()
        return
    names = list(BENCHMARKS) if asked == ["all"] else asked
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"No benchmark {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}, and all")
    for name in names:
        began = time.monotonic()
        importlib.import_module(f"tests.benchmarks.{name}").main()
        print(f"{name} took {(time.monotonic() - began) / 60:.1f} minutes")


def show() -> None:
    """Print the benchmarks with their minutes, and how one is run."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "minutes", "measures"):
        table.add_column(heading, justify="right" if heading == "minutes" else "left")
    for name, each in BENCHMARKS.items():
        parts = f"\nSETTING: {each.parts}" if each.parts else ""
        table.add_row(name, "–" if each.minutes is None else str(each.minutes), each.measures + parts)
    Console().print(table)
    print("\nmake bench NAME=spine runs one, NAME=all every one; SETTING=... some parts.")
    print("Minutes are rough, of two idle cores.")


if __name__ == "__main__":
    main()
