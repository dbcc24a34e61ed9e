"""What an adversary gains by copies, splits, padding and floods, valued by the ordinary chain.

The gain is the adversary's share of the pool in the attacked world less that in the honest one, all its accounts
together. Where an attack changes what is trained on, the difference also holds the training's own noise: honest
worlds under other seeds show how much. Controls are the same attacks with the defence switched off.
"""

import shutil
import time
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.adversary_worlds import (
    ACCOUNTS,
    Market,
    World,
    interleaved,
    retouched,
    shuffled,
    write_world,
)
from tests.benchmarks.results import FOLDER, update_results, write_results
from tribute.cluster import ray_session
from tribute.config import Cluster, load_project
from tribute.valuation import read_valuation
from tribute_jobs.pipeline import run
from tribute_storage import Lake

TARGET = 0.02
COPIES = (1, 2, 5)
NOISE_SEEDS = (1, 2)
FLOOD = 60
CAP = "1/8"
OFF = {"corpus": {"duplicates": {"credit": "off"}}}
BY_ID = {"corpus": {"duplicates": {"credit": "source_order"}}}


class Silent:
    """Tells nothing of a run but its warnings."""

    def started(self, stage: str, run_id: str) -> None:
        """Nothing."""

    def advanced(self, done: int, total: int) -> None:
        """Nothing."""

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """Nothing."""

    def warned(self, message: str) -> None:
        """One line."""
        print(f"  {message}")


def main() -> None:
    """Value every world, print the gains and write build/bench/adversary.json."""
    root = FOLDER / "adversary"
    shutil.rmtree(root, ignore_errors=True)
    market, began = Market.of_installed_docs(), time.monotonic()
    with ray_session(Cluster()):
        honest = share(root, market, World("honest"))
        other = [share(root, market, World("honest", folder=f"honest-{seed}"), seed) for seed in NOISE_SEEDS]
        noise = [found - honest for found in other]
        figures = {world.name: (world, share(root, market, world)) for world in attacks(market)}
    show(market, honest, noise, figures.values())
    gains = {name: found - honest for name, (world, found) in figures.items() if not world.control}
    copies = {str(k): gains[f"copy x{k}"] for k in COPIES}
    write_results(
        "adversary",
        {
            "honest_share": honest,
            "target": TARGET,
            "gain_of_copier": gains,
            "gain_without_defence": {n: found - honest for n, (world, found) in figures.items() if world.control},
            "seed_noise": {"seeds": list(NOISE_SEEDS), "differences": noise},
            "seconds": round(time.monotonic() - began, 1),
        },
    )
    update_results("settle", {"gain_of_copier": copies})


def attacks(market: Market) -> Iterable[World]:
    """All attacks, and some without the defence against them."""
    victim, own = market.texts[market.victim], market.texts[market.own]
    for k in COPIES:
        yield World(f"copy x{k}", copies("zz-copy", victim, k))
    yield World("copy x5, ids first", copies("aa-copy", victim, 5))
    yield World("copy x1, one word in 10 replaced", {"aa-copy": retouched(victim, 10)})
    yield World("copy x1, paragraphs shuffled", {"aa-copy": shuffled(victim, 1)})
    yield World("copy hidden in own text", {market.own: [*own, *interleaved(own, victim)]})
    for parts in (2, 5):
        split = {f"{market.own}-{part}": own[part::parts] for part in range(parts)}
        name = f"split in {parts}"
        yield World(name, split, replaces_own=True)
        yield World(f"{name}, two accounts", split, 2, replaces_own=True, folder=name.replace(" ", "-"))
    yield World("own text repeated x3", {market.own: own + shuffled(own, 1) + shuffled(own, 2)})
    capped = {"policy": {"customer_cap": CAP}}
    yield World(f"flood of {FLOOD}, cap {CAP}", flood=FLOOD, folder="honest", settings=capped)
    yield World(f"flood of {FLOOD}", flood=FLOOD, folder="honest", control=True)
    for k in (1, 5):
        yield World(f"copy x{k}, off", copies("zz-copy", victim, k), settings=OFF, control=True)
    yield World("copy x1, ids first, by id", copies("aa-copy", victim, 1), settings=BY_ID, control=True)
    yield World("own text repeated x3, off", {market.own: [*own] * 3}, settings=OFF, control=True)


def copies(name: str, texts: list[str], count: int) -> Mapping[str, list[str]]:
    """A source copied so many times, each under an id of its own."""
    return {f"{name}-{number}": texts for number in range(count)}


def share(root: Path, market: Market, world: World, seed: int = 0) -> float:
    """The part of the pool that the adversary's accounts have together, by the ordinary chain."""
    began = time.monotonic()
    project = load_project(write_world(root, market, world, seed))
    done = run(project, world.period, Silent(), last="value")
    rows = read_valuation(Lake(project.lake_root), done.outputs["value"].run_id).to_pylist()
    publishers = [row for row in rows if row["level"] == "publisher"]
    paid = [Fraction(row["share"]) for row in publishers if row["publisher_id"] in ACCOUNTS]
    print(f"{world.name}: {float(sum(paid)):.4f} in {time.monotonic() - began:.0f} s", flush=True)
    return float(sum(paid))


def show(market: Market, honest: float, noise: list[float], found: Iterable[tuple[World, float]]) -> None:
    """Shares and gains, and what another seed alone changes."""
    spread = float(np.max(np.abs(noise)))
    table = Table(
        title=f"The holder of {market.own} ({honest:.2%} of the pool) against {market.victim}; "
        f"another seed alone: up to {spread:.2%}",
        title_justify="left",
    )
    for name in ("attack", "share", "gain", "ratio", f"at most {TARGET:.0%}"):
        table.add_column(name, justify="left" if name == "attack" else "right")
    for world, share_after in found:
        gain = share_after - honest
        verdict = "control" if world.control else "yes" if gain <= TARGET else "NO"
        table.add_row(world.name, f"{share_after:.2%}", f"{gain:+.2%}", f"{share_after / honest:.2f}", verdict)
    Console().print(table)
