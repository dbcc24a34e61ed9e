"""The spine: what the demo costs, and whether its shares are nearer to real retraining than simple shares are.

1. `tribute demo` from an empty folder: seconds and peak memory of the whole process tree.
2. The demo's paid shares, equal shares and token-count shares, against real leave-one-source-out retraining of
   the same model under other seeds, on the same queries.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from tests.benchmarks.results import FOLDER, write_results
from tests.benchmarks.worlds import PERIOD, Ask, answers
from tribute.catalog import lineage
from tribute.config import Project, load_project
from tribute.evaluation import clipped_shares, misallocated_pool
from tribute_storage import open_tables

OTHER_SEEDS = 1000


def main() -> None:
    """Run both parts and write build/bench/spine.json."""
    folder = FOLDER / "spine"
    shutil.rmtree(folder, ignore_errors=True)
    seconds, peak_gib = timed_run([*tribute(), "demo", "--folder", str(folder / "demo"), "--period", PERIOD])
    demo = judge_demo(folder / "demo" / "project.yaml", seeds=8)
    figures: dict[str, object] = {"demo_seconds": round(seconds, 1), "peak_gib": round(peak_gib, 2)} | demo
    write_results("spine", figures)


def tribute() -> list[str]:
    """The command line of this environment."""
    return [sys.executable, "-m", "tribute_jobs.cli"]


def timed_run(command: list[str]) -> tuple[float, float]:
    """Run a command: seconds, and the largest memory (proportional set size) of its process tree, GiB."""
    began, peak = time.monotonic(), 0.0
    process = subprocess.Popen(command)
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - began, peak / 2**30


def tree_memory(pid: int) -> float:
    """Bytes held by a process and its descendants, shared pages counted once."""
    total = 0.0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:
        pass
    return total


def judge_demo(path: Path, seeds: int) -> dict[str, object]:
    """Misallocated pool of the demo's paid shares and of simple ones, per publisher."""
    project = load_project(path)
    sources, publisher_of, tokens = corpus_of(project)
    retrained = Ask("retrained", {"horizon": 1.0})
    found = answers([(path, seed, [retrained]) for seed in range(OTHER_SEEDS, OTHER_SEEDS + seeds)])
    truth = np.stack([each[retrained.name].influence_QU.sum(0, dtype=np.float64) for each in found])

    def by_publisher(values_S: np.ndarray) -> dict[str, float]:
        totals = dict.fromkeys(sorted(set(publisher_of.values())), 0.0)
        for source, value in zip(sources, values_S, strict=True):
            totals[publisher_of[source]] += float(value)
        return totals

    owed = clipped_shares(by_publisher(truth.mean(0)))
    paid, attributed = paid_shares(project)
    estimates = {
        "equal": {publisher: 1 / len(owed) for publisher in owed},
        "token_count": clipped_shares(by_publisher(tokens)),
        "attribution": paid,
        "attribution_unshrunk": attributed,
    }
    misallocated = {name: misallocated_pool(shares, owed) for name, shares in estimates.items()}
    one_retrain = [
        misallocated_pool(
            clipped_shares(by_publisher(row)), clipped_shares(by_publisher(np.delete(truth, k, 0).mean(0)))
        )
        for k, row in enumerate(truth)
    ]
    misallocated["one_retrain_of_each_source"] = float(np.mean(one_retrain))
    show_shares("Demo: shares of the pool", owed, estimates)
    show_rows("Demo: misallocated pool", {"demo": misallocated})
    return {"misallocated_pool": misallocated, "truth_seeds": seeds, "shares": {"retrained": owed} | estimates}


def corpus_of(project: Project) -> tuple[list[str], dict[str, str], np.ndarray]:
    """Sources in order, the publisher of each in the settled rights, and their tokens [S]."""
    with open_tables(project.lake_root) as lake:
        rows = lake.execute(
            "select source_id, tokens from corpus_sources where run_id = $1 order by source_id",
            [lineage(project).corpus_run],
        ).fetchall()
        publisher_of = dict(lake.execute("select distinct source_id, publisher_id from rights").fetchall())
    return [s for s, _ in rows], publisher_of, np.array([t for _, t in rows], dtype=np.float64)


def paid_shares(project: Project) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of the last settlement per publisher, and those before shrinkage."""
    with open_tables(project.lake_root) as lake:
        rows = lake.execute(
            "select s.publisher_id, s.amount_minor / s.pool_minor, v.attribution_nats from statements s "
            "join valuations v on v.run_id = s.value_run and v.publisher_id = s.publisher_id "
            "where v.level = 'publisher' and s.statement_version = (select max(statement_version) from statements)"
        ).fetchall()
    return {p: paid for p, paid, _ in rows}, clipped_shares({p: nats for p, _, nats in rows})


def show_rows(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Figures, one a line."""
    table = Table(title=title, title_justify="left")
    table.add_column("estimator")
    table.add_column("misallocated", justify="right")
    for figures in rows.values():
        for name, figure in figures.items():
            table.add_row(name, f"{figure:.1%}")
    Console().print(table)


def show_shares(title: str, owed: Mapping[str, float], estimates: Mapping[str, Mapping[str, float]]) -> None:
    """Shares per publisher, one column an estimator."""
    table = Table(title=title, title_justify="left")
    for name in ("publisher", "retrained", *estimates):
        table.add_column(name, justify="left" if name == "publisher" else "right")
    for publisher, share in sorted(owed.items(), key=lambda item: -item[1]):
        table.add_row(publisher, f"{share:.1%}", *(f"{each[publisher]:.1%}" for each in estimates.values()))
    Console().print(table)
