"""Fidelity of a real fine-tuning of a language model: SmolLM2 with LoRA, against real retraining.

The truth is retraining without each of eight sources under eight seeds that no estimate was made with, read out
on held-out text (see `language_market.py`). Compared with it are the values that are paid by, those without any
retraining, the simulation alone, token counts and equal shares. Finished work is kept in
build/bench/language, so that an interrupted run goes on.

Legend: R seeds, Q queries, S sources, T positions, N resamples.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from examples.smollm2 import smollm2
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks.language_market import KINDS, LanguageMarket
from tests.benchmarks.results import FOLDER, update_results
from tribute import Study, TrainingSettings
from tribute.config import SimulationSettings
from tribute.corpus import QueryTable
from tribute.evaluation import (
    EvaluationStudy,
    GroundTruth,
    misallocated,
    rank_correlation,
    removal,
    seed_ceiling,
)
from tribute.evaluation.removals import random_sets
from tribute.readout import QueryRows
from tribute.readout.prepared import PreparedReadOut
from tribute.study import Attribution
from tribute.study.retraining import FILE as VALUED_BY
from tribute.study.runs import Runs, replicate_of
from tribute.tasks import Scope, huggingface_task, joined

Array = NDArray[np.float64]
HALVES = 8
"""Random halves of the sources that are left out under the first of the truth's seeds."""
TRUTH = tuple(range(1_000_000, 1_000_008))
RESAMPLES = 200
TOKENS, VALUED, UNTRAINED = "token count", "as valued", "as valued, no retraining"
ADAPTER = {
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}
TRAINING = TrainingSettings(batch_size=4, learning_rate=2e-3, clip_norm=1.0, replicates=3)
SIMULATION = SimulationSettings(memory_gib=6.0, smoothness_sources=0)


@dataclass(frozen=True)
class Size:
    """Windows of all sources, tokens of a window, held-out windows, layers with adapters."""

    windows: int = 96
    length: int = 65
    asked: int = 42
    layers: tuple[int, ...] = (26, 27, 28, 29)


def study_of(market: LanguageMarket, size: Size, folder: Path) -> Study:
    """The fine-tuning: adapters in the last layers of the trimmed model."""
    adapter = ADAPTER | {"layers_to_transform": list(size.layers)}
    model = str(market.trimmed_model(folder / "model"))
    task = huggingface_task(model=model, adapter=adapter, dropout=False)
    return Study(task, market.examples(), training=TRAINING, simulation=SIMULATION, folder=folder / "study")


class RememberingRuns(Runs):
    """Runs of a study that answer each question once: intervals weigh the same read-outs again and again."""

    @cached_property
    def _known(self) -> dict[str, Any]:
        return {}

    def simulate(self, replicates: Any, settings: Any, units: Any) -> Any:
        """As of `Runs`."""
        key = repr(([each.seed for each in replicates], settings.model_dump_json(), units))
        if key not in self._known:
            self._known[key] = super().simulate(replicates, settings, units)
        return self._known[key]

    def influence(self, replicates: Any, settings: Any, found: Any, rows: QueryRows, readout: Any) -> Any:
        """As of `Runs`."""
        names = [each.seed for each in replicates], [each.unit.unit_id for each in found], rows.query_ids
        key = repr((names, settings.model_dump_json(), readout.model_dump_json()))
        if key not in self._known:
            self._known[key] = super().influence(replicates, settings, found, rows, readout)
        return self._known[key]


def lost(study: Study, sets: list[tuple[int, ...]], seeds: tuple[int, ...], queries: QueryTable) -> list[Array]:
    """What real trainings without sets of sources lose, [Q, M] nats by seed."""
    units = [removal(sources, study.source_ids) for sources in sets]
    settings = study.simulation.retraining()
    replicates = [replicate_of(row) for row in study.runs.train(seeds)]
    found = {each.unit.unit_id: each for each in study.runs.simulate(replicates, settings, units)}
    ordered = [found[unit.unit_id] for unit in units]
    rows = QueryRows.of(queries)
    influence_RQM, _ = study.runs.influence(replicates, settings, ordered, rows, study.readout)
    return list(influence_RQM.astype(np.float64))


def fidelity(market: LanguageMarket, size: Size, folder: Path) -> dict[str, Any]:
    """All figures of a market."""
    began, study = time.process_time(), study_of(market, size, folder)
    study.runs = RememberingRuns(*(getattr(study.runs, each.name) for each in fields(Runs) if each.init))
    (study.runs.folder / VALUED_BY).unlink(missing_ok=True)  # of an earlier run; they are chosen again

    def said(text: str) -> None:
        print(f"{time.process_time() - began:.0f} s: {text}", file=sys.stderr, flush=True)

    trained = study.train()
    said(f"trained\n{trained}")
    named, columns = market.queries()
    attribution = study.attribute(columns, weights=market.uses(market.demand).tolist())
    said("simulated each source")
    singles = [(source,) for source in range(len(study.source_ids))]
    losses = lost(study, singles, TRUTH, attribution.queries)
    said("retrained without each source")
    gap = token_gap(study, attribution)
    said(f"read out each token, {gap}")
    demands = {"market": market.uses(market.demand), "by size": market.uses(market.by_size)}
    judged = {name: judge(study, attribution, losses, named, uses_Q) for name, uses_Q in demands.items()}
    shares = shares_of(study, market, attribution, losses)
    said(f"judged\n{judged}\n{shares}")
    study.value(attribution)
    for name, uses_Q in demands.items():
        again = judge(study, attribution, losses, named, uses_Q)
        for key in ("pool", "to_token_count"):
            judged[name][key] = {VALUED: again[key][UNTRAINED]} | judged[name][key]
    value_S = ways(study, attribution, demands["market"])[UNTRAINED].clip(0)
    for row, value in zip(shares, (value_S / value_S.sum()).tolist(), strict=True):
        row[VALUED] = value
    said(f"judged after the trainings of the default\n{judged}")
    sets = random_sets(len(singles), 0.5, HALVES, 0)
    halves = lost(study, sets, TRUTH[:1], attribution.queries)
    said("retrained without random halves")
    truth = GroundTruth.from_retrains(losses, {"half": sets}, {("half", "other"): halves[0]})
    scores = EvaluationStudy(truth, demands["market"], np.eye(len(singles)), RESAMPLES).score(
        attribution.influence_QS
    )
    return {
        "sources": shares,
        "tokens": sum(study.tokens),
        "steps": trained.steps,
        "layers": len(size.layers),
        "queries": len(named),
        "retrains": {"leave_one_out": len(singles) * len(TRUTH), "halves": len(sets)},
        "misallocated": judged,
        "lds_half_other_seed": scores.lds["lds_half_other_seed"],
        "leave_source_out": scores.leave_source_out,
        "leave_source_out_ceiling": seed_ceiling(losses, rank_correlation),
        "token_gap": gap,
        "processor_seconds": time.process_time() - began,
    }


def judge(
    study: Study, attribution: Attribution, losses: Sequence[Array], named: Sequence[str], uses_Q: Array
) -> dict[str, Any]:
    """Misallocated pool of every way to pay, with 95% intervals, and its ratio to that of token counts.

    Intervals are over the truth's seeds and over the queries of each package, drawn again.
    """
    rng, packages = np.random.default_rng(0), np.array(named)
    everyone = distances(study, attribution, losses, uses_Q)
    drawn: dict[str, list[float]] = {name: [] for name in everyone}
    for _ in range(RESAMPLES):
        count_Q = np.zeros(len(named))
        for package in dict.fromkeys(named):
            own = np.flatnonzero(packages == package)
            np.add.at(count_Q, rng.choice(own, len(own)), 1)
        seeds = rng.integers(len(losses), size=len(losses))
        again = distances(study, attribution, [losses[seed] for seed in seeds], uses_Q * count_Q)
        for name, value in again.items():
            drawn[name].append(value)
    totals = [uses_Q @ lost_QS for lost_QS in losses]
    found = {name: [value, *interval_of(drawn[name])] for name, value in everyone.items()}
    ratios = {
        name: [value / everyone[TOKENS], *interval_of(np.array(drawn[name]) / drawn[TOKENS])]
        for name, value in everyone.items()
    }
    return {"pool": found, "to_token_count": ratios, "ceiling": seed_ceiling(totals, misallocated)}


def distances(study: Study, attribution: Attribution, losses: Sequence[Array], uses_Q: Array) -> dict[str, float]:
    """Misallocated pool by way to pay."""
    truth_S = uses_Q @ np.mean(losses, 0)
    return {name: misallocated(paid_S, truth_S) for name, paid_S in ways(study, attribution, uses_Q).items()}


def ways(study: Study, attribution: Attribution, uses_Q: Array) -> dict[str, Array]:
    """What every way to pay gives each source, [S]."""
    weighted = replace(attribution, queries=replace(attribution.queries, weights=uses_Q))
    return {
        UNTRAINED: study.value(weighted, budget=0).value_S,
        "simulation alone": uses_Q @ attribution.influence_QS,
        TOKENS: np.array(study.tokens, dtype=np.float64),
        "equal shares": np.ones(len(study.tokens)),
    }


def interval_of(values: Sequence[float] | Array) -> list[float]:
    """Ends of a 95% interval."""
    ends: list[float] = np.quantile(values, [0.025, 0.975]).tolist()
    return ends


def shares_of(
    study: Study, market: LanguageMarket, attribution: Attribution, losses: Sequence[Array]
) -> list[dict[str, Any]]:
    """A row per source: tokens, demand for its package, and its share by retraining and by every way to pay."""
    uses_Q = market.uses(market.demand)
    columns = {"retraining": uses_Q @ np.mean(losses, 0)} | ways(study, attribution, uses_Q)
    rows: list[dict[str, Any]] = [
        {"source": name, "tokens": tokens, "demand": market.demand.get(market.packages[name], 0.0)}
        for name, tokens in zip(study.source_ids, study.tokens, strict=True)
    ]
    for column, value_S in columns.items():
        payable_S = value_S.clip(0)
        for row, value in zip(rows, (payable_S / payable_S.sum()).tolist(), strict=True):
            row[column] = value
    return rows


def token_gap(study: Study, attribution: Attribution) -> dict[str, float]:
    """Largest gap between a query's influence and the sum of those of its tokens, beside the largest influence and
    the largest measurement, whose rounding the gap is; nats.
    """
    replicate, scope = study.replicates[0], Scope(study.runs.recipe.task, study.simulation.scope)
    files = [unit.files[0] for unit in attribution.units]
    response_SP = torch.stack([joined(file.load(torch.device("cpu"))) for file in files if file])
    prepared = PreparedReadOut("shared_trunk", scope, [replicate.final()], [response_SP], kept_gib=0)
    token_QTS = prepared.read_tokens(QueryRows.of(attribution.queries)).numpy()
    influence_QS = attribution.influence_RQU[0]
    compared = {
        "gap": token_QTS.sum(1) - influence_QS,
        "influence": influence_QS,
        "measurement": attribution.measurement_Q,
    }
    return {name: float(np.abs(values).max()) for name, values in compared.items()}


def show(found: Mapping[str, Any]) -> None:
    """The figures as tables."""
    console = Console(width=140)
    for demand, judged in found["misallocated"].items():
        table = Table(title=f"{demand}; retraining against retraining {judged['ceiling']:.1%}")
        for name in ("paid by", "misallocated pool", "95% interval", "of token counts", "95% interval "):
            table.add_column(name)
        for name, (value, low, high) in judged["pool"].items():
            part, least, most = judged["to_token_count"][name]
            cells = (f"{value:.1%}", f"{low:.1%} to {high:.1%}", f"{part:.2f}", f"{least:.2f} to {most:.2f}")
            table.add_row(name, *cells)
        console.print(table)
    console.print({name: value for name, value in found.items() if name != "misallocated"})


def main() -> None:
    """Every market, or those that `SETTING` names, into `fidelity` of build/bench/language.json."""
    size, folder = Size(), FOLDER / "language"
    for kind in os.environ.get("SETTING", " ".join(KINDS)).split():
        market = LanguageMarket(kind, smollm2(), size.windows, size.length, size.asked)
        found = fidelity(market, size, folder / kind)
        show(found)
        update_results("language", {f"fidelity_{kind}": found})


if __name__ == "__main__":
    main()
