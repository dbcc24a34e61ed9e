"""Months of distilled read-outs on MNIST: what they cost, whether they are biased, whether their intervals hold.

A month has `USES` uses of the model, drawn from 20,000 images that it was not trained on; all of these are read
out exactly once, so that the truth of every month is known. Two sources belong to each of ten publishers.

Legend: Q images, S sources, R replicates, C = R S columns, n sampled uses, P publishers.
"""

import gzip
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from scipy.stats import t as student

from tests.benchmarks.data import mnist_folder
from tests.benchmarks.worlds import CORES, PERIOD, World
from tribute.readout import (
    Distilled,
    Passes,
    PerturbedModel,
    QueryRows,
    Sample,
    costs,
    difference_estimate,
    precise_estimate,
    query_features,
    read_out,
)
from tribute.simulation import build_mode, build_schedule, change_matrix, leave_one_out_units, simulate
from tribute.tasks import Scope, joined

Array = NDArray[np.float64]
IMAGES = 20_000
USES = 1_000_000
MONTHS = 600
GROUPS = 16
PUBLISHERS = 10
PRECISIONS = {0.05: MONTHS, 0.02: 40, 0.01: 10}
"""How many months are simulated at a precision: enough for coverage at the first."""
SEEDS = range(3)


class Pool(NamedTuple):
    """Images with their features [Q, d], exact influences [Q, C] nats, and costs in forward passes."""

    feature_Qd: Array
    influence_QC: Array
    pass_cost: float
    exact_cost: float


class Outcome(NamedTuple):
    """A month: found and true totals of the publishers [P] nats, half their intervals, the sample, R squared."""

    found_P: Array
    truth_P: Array
    half_P: Array
    drawn: int
    explained: float


HELD: list[Pool] = []
"""The pool of a worker: too large to be sent with every month."""


def judge_months(path: Path) -> dict[str, object]:
    """Cost, bias and coverage at the first precision, and what finer ones cost."""
    pool, file = read_pool(path), path.parent / "pool.npz"
    np.savez(file, **pool._asdict())
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # each worker has one core
    rows = [judge_precision(pool, file, precision, months) for precision, months in PRECISIONS.items()]
    headline = rows[0]
    for row in rows:
        print({name: round(value, 4) for name, value in row.items()})
    return {name: headline[name] for name in ("query_in_forwards", "bias", "coverage_95")} | {
        "by_precision": rows,
        "uses": USES,
        "forward_pass_and_features": pool.pass_cost,
        "exact_read_out": pool.exact_cost,
    }


def judge_precision(pool: Pool, file: Path, precision: float, count: int) -> dict[str, float]:
    """Months whose totals were asked for at one precision."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(CORES, mp_context=spawn, initializer=_hold, initargs=(file,)) as workers:
        months: Sequence[Outcome] = list(workers.map(partial(_held_month, precision), range(count)))
    found, truth, half = (
        np.stack([getattr(m, name) for m in months]) for name in ("found_P", "truth_P", "half_P")
    )
    total = np.clip(truth, 0, None).sum(1, keepdims=True)
    error = (found - truth) / total
    drawn = float(np.mean([month.drawn for month in months]))
    covered = np.abs(found - truth) <= half
    return {
        "precision": precision,
        "months": count,
        "exact_fraction": drawn / USES,
        "query_in_forwards": pool.pass_cost + drawn / USES * pool.exact_cost,
        "bias": float(np.abs(error.mean(0)).max()),
        "bias_standard_error": float((error.std(0) / np.sqrt(count)).max()),
        "half_width": float((half / total).max(1).mean()),
        "coverage_95": float(covered.mean()),
        "coverage_worst_publisher": float(covered.mean(0).min()),
        "explained": float(np.mean([month.explained for month in months])),
    }


def _hold(file: Path) -> None:
    with np.load(file) as kept:
        HELD.append(Pool(*(kept[name] for name in Pool._fields)))


def _held_month(precision: float, month: int) -> Outcome:
    return one_month(HELD[-1], precision, month)


def explained_part(found: Distilled) -> np.ndarray:
    """Share of the influences' variance that the head explains for queries it was not fitted to, [C]."""
    influence_nC = found.sample.uses_n[:, None] * found.sample.influence_nC
    spread_C = np.square(influence_nC - influence_nC.mean(0)).mean(0)
    return np.asarray(1 - np.square(found.residual_nC).mean(0) / np.maximum(spread_C, 1e-300))


def one_month(pool: Pool, precision: float, month: int) -> Outcome:
    """Draw a month's uses, read out as many as the precision asks for, estimate the publishers' totals."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([month, 1])
    use_U = rng.integers(len(pool.feature_Qd), size=USES)
    group_U = rng.integers(GROUPS, size=USES)
    images = len(pool.feature_Qd)
    count_GQ = np.bincount(group_U * images + use_U, minlength=GROUPS * images).reshape(GROUPS, images)
    feature_Gd = count_GQ @ pool.feature_Qd
    replicates, sources = len(SEEDS), pool.influence_QC.shape[1] // len(SEEDS)
    per_source = np.tile(np.eye(sources), (replicates, 1)) / replicates
    per_payee = per_source @ np.repeat(np.eye(PUBLISHERS), sources // PUBLISHERS, axis=0)
    order = rng.permutation(USES)

    def estimate(drawn: int):
        picked = order[:drawn]
        image = use_U[picked]
        sample = Sample(USES, group_U[picked], np.ones(drawn), pool.feature_Qd[image], pool.influence_QC[image])
        return difference_estimate(sample, feature_Gd)

    found = precise_estimate(estimate, USES, per_source, precision)
    assert found is not None
    drawn = len(found.residual_nC)
    half_P = student.ppf(0.975, drawn - 1) * found.standard_error(per_payee)
    truth_C = count_GQ.sum(0) @ pool.influence_QC
    explained = float(np.average(explained_part(found), weights=np.square(found.sample.influence_nC).sum(0)))
    return Outcome(found.totals() @ per_payee, truth_C @ per_payee, half_P, drawn, explained)


def read_pool(path: Path) -> Pool:
    """Train and simulate under three seeds; read out images that none of them saw."""
    torch.set_num_threads(CORES)
    world, queries = World(path), images(path)
    read, recipes = [], [world.recipe(seed) for seed in SEEDS]
    for recipe in recipes:
        settings = world.project.simulation
        start = recipe.horizon_start(settings.horizon)
        everything = torch.ones(len(world.tokens_S))
        middle = recipe.run(recipe.initial(), range(start), everything)
        theta_P = joined(recipe.run(middle, range(start, recipe.steps), everything).theta)
        schedule = build_schedule(recipe, settings, theta_P)
        change_KS = torch.from_numpy(
            change_matrix(leave_one_out_units(world.data.source_ids), len(world.tokens_S))
        )
        mode = build_mode(schedule, settings, change_KS)
        responses_SP = simulate(mode, mode.begin(middle), start).response_KP
        scope = Scope(recipe.task, "all")
        [found] = read_out("difference", scope, [theta_P], [responses_SP], queries)
        read.append(found.influence_QS.double().numpy())
        if len(read) == 1:
            first, moved = theta_P, PerturbedModel(scope, theta_P, responses_SP)
    torch.set_num_threads(1)
    cost = costs(["distilled", "difference"], moved, queries, 1.0)
    feature_Qd = query_features(Passes(recipes[0].task, first), queries)
    return Pool(feature_Qd, np.hstack(read), cost["distilled"], len(SEEDS) * cost["difference"])


def images(path: Path) -> QueryRows:
    """Training images of MNIST after those that the project trains on, with their labels."""
    trained = len((path.parent / yaml.safe_load(path.read_text())["corpus"]["assignment"]).read_text().split())
    chosen = slice(trained, trained + IMAGES)
    with gzip.open(mnist_folder() / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[chosen]
    with gzip.open(mnist_folder() / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[chosen]
    features = pixels.astype(np.float32) / 255
    columns = {"features": features, "labels": labels.astype(np.int64)}
    return QueryRows(tuple(f"{PERIOD}-{i}" for i in range(IMAGES)), columns, np.arange(IMAGES))
