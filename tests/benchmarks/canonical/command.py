"""`make bench NAME=canonical`: the settings that others publish, judged by the bank of retrainings.

`SETTING=logistic` runs some of the settings, `METHOD="ekfac; trak, 10 models"` some of the rows by their names
(others are kept), `REBUILD=1` makes the banks anew and compares, `PEERS=1` adds the methods of other libraries.
"""

import json
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tests.benchmarks.canonical.making import differences, make, retrained
from tests.benchmarks.canonical.methods import Estimated, Setting, Variant, estimated, every_estimator, simulated
from tests.benchmarks.canonical.others import peer_methods
from tests.benchmarks.canonical.removal import left_out, query_loss_differences
from tests.benchmarks.canonical.rows import Row, row, show
from tests.benchmarks.canonical.settings import OWN_SEED, PERCEPTRONS, PerceptronSetting
from tests.benchmarks.canonical.text import (
    FURTHER_ON_TEXT,
    TRANSFORMER,
    WITHOUT_ON_TEXT,
    TextSetting,
    make_text,
    retrained_text,
)
from tests.benchmarks.results import FOLDER, update_results
from tests.benchmarks.worlds import CORES
from tribute.config import SimulationSettings
from tribute.evaluation.bank import RetrainBank, settings_in

SETTINGS: dict[str, PerceptronSetting | TextSetting] = {**PERCEPTRONS, TRANSFORMER.name: TRANSFORMER}
BANK = Path(__file__).with_name("bank")
REMADE = FOLDER / "canonical-bank"
ALIKE = 0.95
"""Mean rank correlation of a query's measurements with those of the stored bank, at least: rounding differs."""
SIMULATIONS = {
    "simulation, tangent, whole training": SimulationSettings(mode="tangent", horizon=1.0),
    "simulation, tangent, last fifth": SimulationSettings(mode="tangent", horizon=0.2),
    "simulation, paired, last fifth": SimulationSettings(mode="paired", horizon=0.2),
}
ITERATED = ("astra", "conjugate_gradient")
SHORT = {name: each for name, each in SIMULATIONS.items() if each.horizon < 1}
OF_SETTING = {"logistic": SIMULATIONS, "mlp": SHORT}
"""Simulations of a setting."""
SOLVED = [Variant(name, {"solve_for": "queries"}, f"{name}, solved for queries") for name in ITERATED]
FIVE = [Variant(name, {}, f"{name}, 5 models", 5) for name in ("ekfac", "source")]
OF_HALVES = [
    Variant(name, {}, f"{name}, {count} models of halves", count, halves=True)
    for name, count in (("ekfac", 6), ("source", 2), ("source", 6))
]
FURTHER = {
    "logistic": [Variant("trak", {"models": 10}, "trak, 10 models")],
    "mlp": [*SOLVED, *FIVE, *OF_HALVES],
    "four_nine": [*SOLVED, *FIVE],
    "transformer": FURTHER_ON_TEXT,
}
SINGLES = ("adamw_influence",)
"""Estimators that score the examples left out one by one, because they run the training again for few examples."""
IN_RUN = ("in_run_first", "in_run_second", "in_run_optimizer")
REPLAYS = dict.fromkeys(IN_RUN, "it replays the training for every few hundred examples")
REPLAYS |= {"adamw_influence": "it replays the training for every few examples"}
PATCHES = {"patches": "it compares each patch of a query with those of all examples, 0.2 s a query"}
EACH = dict.fromkeys(ITERATED, "with its defaults it solves for each of thousands of examples, not of 500 queries")
PLAIN = {"in_run_optimizer": "through plain SGD it is in_run_first"}
WITHOUT = {
    "logistic": PATCHES | PLAIN,
    "mlp": PATCHES | REPLAYS | EACH,
    "four_nine": PATCHES | REPLAYS | EACH,
    "transformer": WITHOUT_ON_TEXT,
}
"""Estimators that are left out of a setting, and why."""


def main() -> None:
    """Each setting that `SETTING` names, or that has a bank, into build/bench/canonical.json row by row."""
    asked = os.environ.get("SETTING", " ".join(settings_in(BANK))).split()
    if unknown := sorted(set(asked) - set(SETTINGS)):
        sys.exit(f"No SETTING {', '.join(unknown)}. There are: {', '.join(SETTINGS)}")
    for name in asked:
        began, setting = time.monotonic(), SETTINGS[name]
        bank = rebuilt(setting) if os.environ.get("REBUILD") == "1" else RetrainBank.read(BANK, name)
        rows = {line["method"]: line for line in known().get(name, [])} if "METHOD" in os.environ else {}
        tops = {}
        for each, peer in judged(setting):
            rows[each.method] = row(bank, each, peer)
            if each.whole:
                tops[each.method] = left_out(each.score_NQ)
            update_results("canonical", {"settings": known() | {name: list(rows.values())}})
        if tops:
            retrain = partial(retrained_text if isinstance(setting, TextSetting) else retrained, setting)
            percents_RQ = bank.measured_MQ[bank.chosen("percent")]
            found = query_loss_differences(list(tops.values()), retrain, percents_RQ)
            for method, figure in zip(tops, found, strict=True):
                rows[method] = {**rows[method], "qld": figure._asdict()}
            update_results("canonical", {"settings": known() | {name: list(rows.values())}})
        show(name, list(rows.values()), bank.settings.published)
        print(f"{name}: {time.monotonic() - began:.0f} s")


def known() -> dict[str, list[Row]]:
    """The rows of every setting that was judged before."""
    path = FOLDER / "canonical.json"
    found: dict[str, list[Row]] = json.loads(path.read_text()).get("settings", {}) if path.exists() else {}
    return found


def judged(setting: PerceptronSetting | TextSetting) -> Iterator[tuple[Estimated, bool]]:
    """What every method that fits the setting says, or those that `METHOD` names; and whether it is another's."""
    without = WITHOUT[setting.name]
    variants = [*every_estimator(tuple(without), SINGLES if len(setting.singles) else ()), *FURTHER[setting.name]]
    simulations = OF_SETTING.get(setting.name, {}).items()
    require_rows(setting.name, {each.method for each in variants} | {title for title, _ in simulations})
    variants = [each for each in variants if asked_for(each.method)]
    for name, reason in without.items():
        print(f"{setting.name}, {name}: left out, {reason}")
    seeds = range(OWN_SEED, OWN_SEED + max((each.models for each in variants if not each.halves), default=1))
    jobs = [partial(_estimated, setting, variant, seeds) for variant in variants]
    jobs += [partial(_simulated, setting, {title: each}) for title, each in simulations if asked_for(title)]
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(job) for job in jobs]):
            yield from ((each, False) for each in done.result())
    if os.environ.get("PEERS") == "1" and isinstance(setting, PerceptronSetting):
        yield from ((each, True) for each in peer_methods(setting))


def asked_for(method: str) -> bool:
    """Whether `METHOD` names a row; without it, all rows are asked for."""
    return "METHOD" not in os.environ or method in named()


def named() -> list[str]:
    """The rows that `METHOD` names; `none` names none, such as for other libraries alone."""
    return [name.strip() for name in os.environ.get("METHOD", "none").split(";")]


def require_rows(setting: str, known: Collection[str]) -> None:
    """Check that the setting has what `METHOD` names.

    Raises:
        SystemExit: it has not; lists what there is.
    """
    unknown = sorted({*named()} - {*known, "none"})
    if unknown:
        sys.exit(f"{setting} has no METHOD {'; '.join(unknown)}. There are: {'; '.join(sorted(known))}, and none")


def _estimated(setting: Setting, variant: Variant, seeds: Sequence[int]) -> list[Estimated]:
    return list(estimated(setting, [variant], seeds))


def _simulated(setting: Setting, simulations: Mapping[str, SimulationSettings]) -> list[Estimated]:
    return list(simulated(setting, OWN_SEED, simulations))


def rebuilt(setting: PerceptronSetting | TextSetting) -> RetrainBank:
    """The bank made anew into the build folder; stored where the repository has none, else compared with it.

    Raises:
        SystemExit: the stored bank says something else.
    """
    bank = make_text(setting) if isinstance(setting, TextSetting) else make(setting)
    bank.write(REMADE)
    if not BANK.exists() or setting.name not in settings_in(BANK):
        bank.write(BANK)
        return bank
    largest, alike = differences(bank, RetrainBank.read(BANK, setting.name))
    print(
        f"{setting.name}: at most {largest:.1e} of a query's spread from the stored bank, correlation {alike:.4f}"
    )
    if not np.isfinite(alike) or alike < ALIKE:
        sys.exit(f"{setting.name}: the stored bank says something else. The one made anew is in {REMADE}")
    return bank
