"""What more sources, more workers and less memory do to the default; and a simulation whose workers are killed.

- 20, 200 and 2,000 sources of the same 5,000 examples, simulated one by one and in groups: cost and misallocated
  pool. Up to 200 the payees are the sources; the 2,000 are those of 20 publishers, cut at random, and the payees
  are the publishers, whose truth is that of the 20.
- seconds of a simulation on one and on two workers; peak memory of a worker against its budget.
- `chaos.py` on a cluster of two nodes.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks.judged import by_replicates, default_values
from tests.benchmarks.mnist import SETTINGS, SOURCES, write_mnist_project
from tests.benchmarks.results import FOLDER, update_results
from tests.benchmarks.simulation import QUERIES, RETRAINED, SPOT_STACK, SPOTS, TRUTH, cost, totals
from tests.benchmarks.worlds import CORES, PERIOD, WARM_UP, Ask, Found, World, answers
from tribute.catalog import lineage, simulated_responses
from tribute.cluster import ray_session
from tribute.config import ClusterSettings, load_project
from tribute.evaluation import misallocated, seed_ceiling
from tribute.simulation import (
    Unit,
    build_mode,
    build_schedule,
    change_matrix,
    fit,
    leave_one_out_units,
    simulate,
    sketches,
)
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

OWN = range(3)
GROUPS = 64
FULL, FEW = bool(os.environ.get("FULL")), 4
"""Truth seeds of 200 sources: `FEW`, or with FULL=1 all."""
SINGLES = Ask("singly", {"horizon": 0.2})


def grouped_units(world: World) -> tuple[Unit, ...]:
    """The units that the scheduled job makes of the world's sources."""
    run(world.project, PERIOD, JsonReporter(), last="simulate")
    found = simulated_responses(world.project, lineage(world.project).simulate_run)
    return tuple(each.unit for each in found)


def judge(folder: Path, setting: str, sources: int) -> dict[str, object]:
    """Cost and misallocated pool of a number of sources, one by one and in groups."""
    path = folder / f"{setting}-{sources}"
    options = {"simulation": {"groups": GROUPS}, "tracking": {"enabled": False}}
    world = World.of(write_mnist_project(path, setting, 0.2, sources=sources, queries=QUERIES, **options))
    units, sketching = grouped_units(world), sketching_cost(world)
    grouped = Ask("grouped", {"horizon": 0.2}, units)
    whole = Ask("whole", {"horizon": 1.0}, units)
    if sources <= 1000:
        jobs = [(world.path, seed, [SINGLES, grouped, whole, SPOT_STACK, RETRAINED]) for seed in OWN]
        jobs += [(world.path, seed, [RETRAINED]) for seed in TRUTH[: len(TRUTH) if FULL else FEW]]
        found = answers(jobs)
        payee_SP = np.eye(len(world.tokens_S))
        truth_TP = totals(found[len(OWN) :], RETRAINED.name)
    else:
        publishers = World.of(write_mnist_project(folder / f"{setting}-publishers", setting, 0.2, queries=QUERIES))
        jobs = [(world.path, seed, [grouped, whole, SPOT_STACK] + [SINGLES] * (seed == 0)) for seed in OWN]
        found = answers([*jobs, *((publishers.path, seed, [RETRAINED]) for seed in TRUTH)])
        payee_SP = publisher_of(world)
        truth_TP = totals(found[len(OWN) :], RETRAINED.name)
    return figures(world, units, found[: len(OWN)], truth_TP, payee_SP) | {"sketching_in_trainings": sketching}


def sketching_cost(world: World) -> float:
    """What looking at the content of all sources costs, once for all replicates, in trainings."""
    torch.set_num_threads(1)
    recipe, everything = world.recipe(0), torch.ones(len(world.tokens_S))
    recipe.run(recipe.initial(), range(WARM_UP), everything)
    began = time.perf_counter()
    theta = recipe.run(recipe.initial(), range(recipe.steps), everything).theta
    trained = time.perf_counter()
    sketches(recipe, theta, range(len(world.tokens_S)), 0)
    return (time.perf_counter() - trained) / (trained - began)


def publisher_of(world: World) -> NDArray[np.float64]:
    """Which of the 20 publishers has a source, [S, P]."""
    owner = [source_id[: len("source-000")] for source_id in world.data.source_ids]
    names = sorted(set(owner))
    return (np.array(owner)[:, None] == np.array(names)).astype(float)


def figures(
    world: World,
    units: tuple[Unit, ...],
    own: list[dict[str, Found]],
    truth_TP: NDArray[np.float64],
    payee_SP: NDArray[np.float64],
) -> dict[str, object]:
    """Judged figures of one number of sources."""
    sources, truth_P = len(world.tokens_S), truth_TP.mean(0)
    member_US = np.zeros((len(units), sources))
    for row, unit in enumerate(units):
        member_US[row, list(unit.removed)] = 1
    part_US = member_US * world.tokens_S / (member_US @ world.tokens_S)[:, None]
    singly = np.stack([e["singly"].influence_QU.sum(0, dtype=np.float64) for e in own if "singly" in e])
    wrong = {
        "token_count": misallocated(world.tokens_S @ payee_SP, truth_P),
        "singly_raw": misallocated(singly.mean(0) @ payee_SP, truth_P),
        "grouped_raw": misallocated(totals(own, "grouped").mean(0) @ part_US @ payee_SP, truth_P),
        "ceiling": seed_ceiling(truth_TP, misallocated),
    }
    calibrated = {}
    if len(singly) == len(own) and RETRAINED.name in own[0]:
        retrained = totals(own, RETRAINED.name)
        wrong["three_retrains"] = by_replicates(retrained, truth_TP, (3,))["3"]
        calibrated["singly"] = default_values({"simulated": singly}, retrained, world.tokens_S, truth_TP, SPOTS)
    calibrated["grouped"] = default_values(
        {"simulated": totals(own, "grouped")},
        totals(own, "whole"),
        world.tokens_S,
        truth_TP,
        SPOTS,
        member_US,
        payee_SP,
    )
    wrong |= {f"{name}_default": each["misallocated_pool"] for name, each in calibrated.items()}
    spots = cost(own, SPOT_STACK.name)
    singly_cost = cost([e for e in own if "singly" in e], "singly")
    tried = len(units) * (4 / 3 if len(units) < sources else 1)  # groups that were simulated, then split
    grouped_cost = cost(own, "grouped") * tried / len(units)
    return {
        "sources": sources,
        "units": len(units),
        "misallocated_pool": wrong,
        "calibrated": calibrated,
        "cost_in_trainings_per_replicate": {"singly": singly_cost, "grouped": grouped_cost, "spots": spots},
        "cost_per_source": {"singly": singly_cost / sources, "grouped": grouped_cost / sources},
        "default_over_three_retrains": (grouped_cost + spots) / sources,
    }


def seconds_of_workers(folder: Path) -> dict[str, float]:
    """Seconds of the same simulation on one and on two workers; Ray and the training are there already."""
    seconds = {}
    with ray_session(ClusterSettings(workers=CORES)):
        for workers in range(1, CORES + 1):
            path = write_mnist_project(
                folder / f"workers-{workers}",
                "smooth",
                0.5,
                sources=48,
                simulation={"horizon": 0.5, "chunk": 12, "smoothness_sources": 0},
                valuation={"budget": 0},
                cluster={"workers": workers},
            )
            run(load_project(path), PERIOD, JsonReporter(), last="train")
            began = time.monotonic()
            run(load_project(path), PERIOD, JsonReporter(), last="simulate")
            seconds[str(workers)] = time.monotonic() - began
    return seconds


def peak_memory(path: Path, budget_gib: float) -> dict[str, float]:
    """What the largest stack that fits a budget really takes, over what the process had before it, GiB."""
    world = World(path)
    recipe = world.recipe(0)
    settings = world.project.simulation.model_copy(
        update={"memory_gib": budget_gib, "chunk": 10**6, "horizon": 0.01}
    )
    chunk = min(fit(recipe, settings).chunk, len(world.tokens_S))
    schedule = build_schedule(recipe, settings, recipe.initial().theta)
    peaks = []
    for count in (1, chunk):
        change = torch.from_numpy(
            change_matrix(leave_one_out_units(world.data.source_ids)[:count], len(world.tokens_S))
        )
        mode = build_mode(schedule, settings, change)
        simulate(mode, mode.begin(recipe.initial()), schedule.steps.start)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    return {"budget_gib": budget_gib, "trajectories": chunk, "peak_gib": peaks[1] - peaks[0]}


def chaos(folder: Path) -> dict[str, object]:
    """The result of `chaos.py` on 40 sources."""
    path = write_mnist_project(
        folder / "chaos",
        "smooth",
        0.5,
        sources=42,  # of which 40 get examples
        simulation={"horizon": 0.5, "chunk": 8, "checkpoint_every": 25},
        cluster={"workers": 3},
        tracking={"enabled": False},
    )
    command = [sys.executable, "-m", "tests.benchmarks.chaos", str(path)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    [found] = [json.loads(line) for line in lines if "same_bits" in line]
    return dict(found)


def show(rows: list[dict]) -> None:
    """The figures of all numbers of sources as a table."""
    table = Table(title="Cost and misallocated pool by number of sources", title_justify="left")
    names = (
        "token_count",
        "singly_raw",
        "grouped_raw",
        "singly_default",
        "grouped_default",
        "three_retrains",
        "ceiling",
    )
    for name in ("training", "sources", "units", "singly", "grouped", "default/3 retrains", *names, "coverage"):
        table.add_column(name, justify="right")
    for row in rows:
        cost_of, wrong = row["cost_in_trainings_per_replicate"], row["misallocated_pool"]
        table.add_row(
            row["training"],
            str(row["sources"]),
            str(row["units"]),
            *(f"{cost_of[name]:.1f}" for name in ("singly", "grouped")),
            f"{row['default_over_three_retrains']:.3f}",
            *(f"{100 * wrong[name]:.1f}%" if name in wrong else "" for name in names),
            f"{row['calibrated']['grouped']['coverage_95']:.1%}",
        )
    Console(width=170).print(table)


def main() -> None:
    """All parts, into `scaling` of build/bench/simulation.json."""
    folder = FOLDER / "scaling"
    shutil.rmtree(folder, ignore_errors=True)
    rows = []
    for setting, sources in product(SETTINGS, (SOURCES, 200, 2000)):
        rows.append({"training": setting} | judge(folder, setting, sources))
        show(rows)
        update_results("simulation", {"scaling": {"sources": rows}})
    memory = []
    for budget in (0.1, 0.3):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            memory.append(pool.submit(peak_memory, folder / "smooth-200" / "project.yaml", budget).result())
    rest = {"workers": seconds_of_workers(folder), "memory": memory, "chaos": chaos(folder)}
    print(json.dumps(rest, indent=2))
    update_results("simulation", {"scaling": {"sources": rows} | rest})


if __name__ == "__main__":
    main()
