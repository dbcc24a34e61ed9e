"""Language models: what a simulation and a read-out cost, against plain training and plain forward passes.

Into build/bench/language.json, and as tables for the documentation into build/bench/language-tables.json. Without
the extra `hf` it cannot run. `QUICK=1` takes a small model.
"""

import json
import os

from tests.benchmarks.language_cost import costs, show
from tests.benchmarks.language_readouts import figures
from tests.benchmarks.language_shapes import random_model
from tests.benchmarks.language_tables import tables
from tests.benchmarks.results import FOLDER, write_results


def main() -> None:
    """Run the benchmark."""
    quick = bool(os.environ.get("QUICK"))
    found = costs(random_model("small" if quick else "smollm2"))
    show(found)
    found["query_in_forwards"] = figures(("small",) if quick else ("small", "smollm2"))
    write_results("language", found)
    (FOLDER / "language-tables.json").write_text(json.dumps(tables(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
