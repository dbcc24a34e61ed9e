"""What an adversary gains by copies, splits, padding and floods, valued by the ordinary chain.

The gain is the adversary's share of the pool in the attacked world less that in the honest one under the same
seed, all its accounts together, mean over seeds. Where an attack changes what is trained on, the gain also holds
the training's own noise: what the seeds are apart shows how much. Controls are the same attacks with the defence
switched off.

Values are not calibrated here. Retraining without each of six sources of some thousand words says more about
chance than about the sources: 66 tokens more moved a share from 12.7% to nothing.
"""

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.adversary_padding import (
    boilerplate,
    other_language,
    random_letters,
    random_order,
    repetition,
)
from tests.benchmarks.adversary_worlds import (
    ACCOUNTS,
    PERIODS,
    Market,
    World,
    in_pieces,
    interleaved,
    retouched,
    shuffled,
    write_world,
)
from tests.benchmarks.results import FOLDER, update_results, write_results
from tribute.catalog import corpus_learnt_tokens, corpus_tokens, lineage, read_valuation
from tribute.cluster import ray_session
from tribute.config import ClusterSettings, Project, load_project
from tribute_jobs.pipeline import run
from tribute_storage import Lake, open_tables

TARGET = 0.02
COPIES = (1, 2, 5)
SEEDS = (0, 1)
FLOOD = 60
CAP = "1/8"
OFF = {"corpus": {"duplicates": {"credit": "off"}}}
PADDING = {
    "own words in random order": random_order,
    "random letters": random_letters,
    "boilerplate": boilerplate,
    "templates with counters": repetition,
    "another language": other_language,
}
BY_ID = {"corpus": {"duplicates": {"credit": "source_order"}}}


class Silent:
    """Tells nothing of a run but its warnings."""

    def started(self, stage: str, run_id: str) -> None:
        """Nothing."""

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Nothing."""

    def working(self, part: str) -> None:
        """Nothing."""

    def advanced(self, done: float, total: int) -> None:
        """Nothing."""

    def close(self) -> None:
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
    with ray_session(ClusterSettings()):
        honest = shares(root, market, World("honest"))
        loss = honest_loss(root, market)
        figures = {world.name: Figure(world, shares(root, market, world), honest) for world in attacks(market)}
    show(market, honest, figures.values())
    gains: dict[str, dict[str, float]] = {"copier": {}, "padder": {}, "control": {}}
    for name, figure in figures.items():
        gains[figure.world.kind][name] = figure.gain
    write_results(
        "adversary",
        {
            "seeds": list(SEEDS),
            "honest_share": honest,
            "target": TARGET,
            "gain_of_copier": gains["copier"],
            "gain_of_padder": gains["padder"],
            "gain_without_defence": gains["control"],
            "honest_loss_by_learnt_tokens": loss,
            "seeds_apart": {name: figure.apart for name, figure in figures.items()},
            "seconds": round(time.monotonic() - began, 1),
        },
    )
    update_results("settle", {"gain_of_copier": {str(k): gains["copier"][f"copy x{k}"] for k in COPIES}})


@dataclass(frozen=True)
class Figure:
    """Shares of the adversary in an attacked world and in the honest one, by seed."""

    world: World
    shares: list[float]
    honest: list[float]

    @property
    def gains(self) -> list[float]:
        """By seed."""
        return [after - before for after, before in zip(self.shares, self.honest, strict=True)]

    @property
    def gain(self) -> float:
        """Mean over the seeds."""
        return fmean(self.gains)

    @property
    def apart(self) -> float:
        """From the least gain to the largest."""
        return max(self.gains) - min(self.gains)

    @property
    def verdict(self) -> str:
        """Whether the attack stays within the target."""
        return "control" if self.world.kind == "control" else "yes" if self.gain <= TARGET else "NO"


def attacks(market: Market) -> Iterable[World]:
    """All attacks, and some without the defence against them."""
    victim, own = market.texts[market.victim], market.texts[market.own]
    for k in COPIES:
        yield World(f"copy x{k}", copies("zz-copy", victim, k))
    yield World("copy x5, ids first", copies("aa-copy", victim, 5))
    yield World("copy x1, one word in 10 replaced", {"aa-copy": retouched(victim, 10)})
    yield World("copy x1, paragraphs shuffled", {"aa-copy": shuffled(victim, 1)})
    yield World("copy hidden in own text", {market.own: [*own, *interleaved(own, victim)]})
    yield World("copy in pieces between own words", {market.own: [*own, *in_pieces(victim, 45, own, 12)]})
    for parts in (2, 5):
        split = {f"{market.own}-{part}": own[part::parts] for part in range(parts)}
        name = f"split in {parts}"
        yield World(name, split, replaces_own=True)
        yield World(f"{name}, two accounts", split, 2, replaces_own=True, folder=name.replace(" ", "-"))
    yield World("own text repeated x3", {market.own: own + shuffled(own, 1) + shuffled(own, 2)})
    others = [text for source in market.texts.keys() - {market.own} for text in market.texts[source]]
    for name, pad in PADDING.items():
        padding = pad(sorted(others) if pad is other_language else own, 2 * sum(map(len, own)))
        yield World(f"padded x3 with {name}", {market.own: [*own, *padding]}, kind="padder")
    capped = {"policy": {"customer_cap": CAP}}
    yield World(f"flood of {FLOOD}, cap {CAP}", flood=FLOOD, folder="honest", settings=capped)
    yield World(f"flood of {FLOOD}", flood=FLOOD, folder="honest", kind="control")
    for k in (1, 5):
        yield World(f"copy x{k}, off", copies("zz-copy", victim, k), settings=OFF, kind="control")
    yield World("copy x1, ids first, by id", copies("aa-copy", victim, 1), settings=BY_ID, kind="control")
    yield World("own text repeated x3, off", {market.own: [*own] * 3}, settings=OFF, kind="control")


def copies(name: str, texts: list[str], count: int) -> Mapping[str, list[str]]:
    """A source copied so many times, each under an id of its own."""
    return {f"{name}-{number}": texts for number in range(count)}


def shares(root: Path, market: Market, world: World) -> list[float]:
    """What part of the pool the adversary's accounts have together, by the ordinary chain, under each seed."""
    began, found = time.monotonic(), []
    for seed in SEEDS:
        rows = publishers(load_project(write_world(root, market, world, seed)), world.period)
        found.append(float(sum(Fraction(row["share"]) for row in rows if row["publisher_id"] in ACCOUNTS)))
    told = ", ".join(f"{share:.4f}" for share in found)
    print(f"{world.name}: {told} in {time.monotonic() - began:.0f} s", flush=True)
    return found


def publishers(project: Project, period: str) -> list[dict[str, Any]]:
    """The publishers' rows of a valuation by the ordinary chain."""
    done = run(project, period, Silent(), last="value")
    rows = read_valuation(Lake(project.lake_root), done.outputs["value"].run_id).to_pylist()
    return [row for row in rows if row["level"] == "publisher"]


def honest_loss(root: Path, market: Market) -> float:
    """The most that an honest source loses as only learnt tokens count, over all seeds.

    That is the fall of its part of the tokens, times the weight that the valuation gives them.
    """
    losses = []
    for seed in SEEDS:
        project = load_project(write_world(root, market, World("honest"), seed))
        [row, *_] = publishers(project, PERIODS[0])
        _, tokens_S = corpus_tokens(project)
        with open_tables(project.lake_root) as connection:
            learnt_S = corpus_learnt_tokens(connection, lineage(project).corpus_run, lineage(project).train_run)
        losses.append(row["shrinkage"] * float((tokens_S / tokens_S.sum() - learnt_S / learnt_S.sum()).max()))
    return max(losses)


def show(market: Market, honest: list[float], figures: Iterable[Figure]) -> None:
    """Shares and gains, and how far the seeds are apart."""
    before = fmean(honest)
    table = Table(
        title=f"The holder of {market.own} ({before:.2%} of the pool) against {market.victim}; {len(SEEDS)} seeds",
        title_justify="left",
    )
    for name in ("attack", "share", "gain", "seeds apart", "ratio", f"at most {TARGET:.0%}"):
        table.add_column(name, justify="left" if name == "attack" else "right")
    for each in figures:
        after = fmean(each.shares)
        told = (f"{after:.2%}", f"{each.gain:+.2%}", f"{each.apart:.2%}", f"{after / before:.2f}", each.verdict)
        table.add_row(each.world.name, *told)
    Console().print(table)
