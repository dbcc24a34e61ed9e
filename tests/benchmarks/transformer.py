"""The same as `simulation.py` on the demo's transformer: ten sources of docstrings, AdamW with cosine decay."""

import re
import shutil

from tests.benchmarks.results import FOLDER, update_results
from tests.benchmarks.simulation import PAIRED, RETRAINED, TANGENT, judge, show
from tests.benchmarks.worlds import World
from tribute_jobs.commands.setup import write_starter

REMOVALS = 10
TANGENTS = [ask for ask in TANGENT if ask.settings["horizon"] == 0.2]


def main() -> None:
    """Into `transformer` of build/bench/simulation.json."""
    folder = FOLDER / "transformer"
    shutil.rmtree(folder, ignore_errors=True)
    path = write_starter(folder)
    text, count = re.subn(r"max_bytes: \d+", "max_bytes: 448000", path.read_text())  # more than the quick demo
    if count != 1:
        raise ValueError(f"The starter project names max_bytes {count} times, expected once: change it here too")
    path.write_text(text)
    figures = judge([World.of(path)], [*PAIRED, RETRAINED, *TANGENTS], REMOVALS)
    show("Transformer, 10 sources", figures)
    update_results("simulation", {"transformer": figures})


if __name__ == "__main__":
    main()
