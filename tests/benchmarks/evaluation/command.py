"""`make bench NAME=evaluation`: methods of attribution compared with real retraining, quality beside cost.

- MNIST `thousand`: 1,000 examples of 20 label-skewed sources, MLP 784-128-64-10, ReLU, 50 epochs of SGD .02 with
  momentum .9; MNIST `smooth` and `rough` as in the benchmark `simulation`.
- Truth: retraining without every source, and without random halves and tenths of the sources, under the first own
  seed and under others, on queries that nothing was tuned on. The distilled head learns from other queries.
- `thousand-peers`, `smooth-peers`, `rough-peers`: other libraries on the same models, retrainings and queries,
  which the part before has kept. `PEERS=1` adds them to the settings that are asked for.
- `transformer`: the result of `tribute evaluate` on the demo, and its time.
- `months`: months of distilled read-outs (`distilled.py`).
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from docs.generate.fronts import front_chart, points_of
from rich.console import Console
from rich.table import Table

from tests.benchmarks.distilled import judge_months
from tests.benchmarks.evaluation.demo import judge_demo
from tests.benchmarks.evaluation.settings import MNIST, RANKED, judge, judge_peers, world_of
from tests.benchmarks.evaluation.versus import show_versus
from tests.benchmarks.results import FOLDER, update_results

SETTINGS = (*MNIST, "transformer", "months")
PEERS = "-peers"
PARTS = (*SETTINGS, *(name + PEERS for name in MNIST))


def main() -> None:
    """Each part that `SETTING` names (default: all settings), into build/bench/evaluation.json as it is done."""
    torch.set_num_threads(1)
    for part in parts(os.environ.get("SETTING", " ".join(SETTINGS)).split(), os.environ.get("PEERS") == "1"):
        began, (setting, peers, _) = processor_seconds(), part.partition(PEERS)
        folder = FOLDER / "evaluation" / setting
        if not peers:
            shutil.rmtree(folder, ignore_errors=True)
        figures = judged(setting, folder, bool(peers))
        spent = processor_seconds() - began
        update_results("evaluation", {part: figures | {"processor_seconds": spent}})
        print(f"{part}: {spent / 60:.1f} minutes of processor time")
        if setting != "months":
            show(part, figures)


def processor_seconds() -> float:
    """Of this process and of those that it has waited for: other work on the machine does not lengthen it."""
    return sum(os.times()[:4])


def parts(asked: list[str], peers: bool) -> list[str]:
    """The parts to run, in order.

    Raises:
        SystemExit: one of those asked for does not exist.
    """
    if unknown := sorted(set(asked) - set(PARTS)):
        sys.exit(f"No SETTING {', '.join(unknown)}. There are: {', '.join(PARTS)}")
    also = {name: [name, name + PEERS] if peers and name in MNIST else [name] for name in asked}
    return list(dict.fromkeys(part for name in asked for part in also[name]))


def judged(setting: str, folder: Path, peers: bool) -> dict[str, Any]:
    """The figures of a part."""
    if setting == "months":
        return judge_months(world_of("smooth", folder).path)
    if setting == "transformer":
        return judge_demo(folder)
    if peers:
        return judge_peers(folder, f"make bench NAME=evaluation SETTING={setting}")
    return judge(setting, world_of(setting, folder))


def show(part: str, result: Mapping[str, Any]) -> None:
    """The table, and a picture of both fronts next to the figures."""
    table = Table(title=part, title_justify="left")
    names = ("LDS ½ other", "½ same", "⅒ other", "⅒ same", "LSO", "mis. pool", "prepare", "query", "MB")
    keys = (*RANKED, "misallocated_pool", "prepare_in_trainings", "query_in_forwards", "bytes")
    for name in ("method", *names):
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in sorted(result["rows"], key=lambda row: -(row.get("lds_half_other_seed") or 0.0)):
        cells = [row.get(key) for key in keys]
        cells[-1] = None if cells[-1] is None else cells[-1] / 1e6
        table.add_row(row["method"], *("–" if cell is None else f"{cell:.2f}" for cell in cells))
    console = Console(width=180)
    console.print(table)
    if "versus" in result:
        show_versus(part, result["versus"])
        return
    console.print("ceiling", result["ceiling"])
    console.print("cost in forward passes", result["cost_in_forwards"])
    (FOLDER / f"evaluation-{part}.svg").write_text(front_chart(part, points_of(result["rows"])))


if __name__ == "__main__":
    main()
