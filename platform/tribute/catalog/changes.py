"""How the values of one valuation became those of another, cause by cause, computed again from the lake.

The way leads over valuations that were never paid by: the later usage with what was known before, then with the
trainings since, then with the later estimates. All have the rights and the policy of the earlier statement.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from tribute.catalog.estimates import MeasuredTraining, batch_estimates, corpus_learnt_tokens, measured_trainings
from tribute.catalog.sums import source_sums
from tribute.config import ValuationSettings
from tribute.errors import PolicyError, ValuationError
from tribute.royalty.division import Claim, Policy, allocate_shares
from tribute.royalty.document import Statement
from tribute.royalty.statement import Cause, ValueChange, readable_policy
from tribute.valuation import MAIN, SourceSums, exact, source_values
from tribute.valuation.rows import CorpusSources, Splits, valuation_rows

Shares = dict[str, Fraction]
Training = tuple[int, tuple[str, ...]]
"""Seed and removed sources, in order."""
FIGURES = ("value_nats", "ci_low_nats", "ci_high_nats")
TOGETHER = "Usage, measurements and prior cannot be told apart and stand together under values: "


def value_change(
    lake: duckdb.DuckDBPyConnection, settings: ValuationSettings, before: Statement, after: Statement
) -> ValueChange:
    """How shares got from the values of an earlier statement to those of a later one, under the earlier terms.

    Trainings, and estimates, that only one of the two has are added or taken away under that side's own usage. A
    policy's `customer_cap` decides how much each use counts, so it belongs to the usage. What values move by
    because of other settings of the valuation, or another release, belongs to the prior.

    Args:
        before, after: any statement of each version.
    """
    try:
        sides = [_Side.read(lake, each) for each in (before, after)]
        return _change(_Terms(lake, settings, sides[0]), *sides)
    except (ValuationError, PolicyError) as reason:
        return ValueChange(notes=(f"{TOGETHER}{reason}",))


@dataclass(frozen=True)
class _Side:
    """What a statement's valuation rests on. ``estimates``: runs of simulation by name."""

    lake: duckdb.DuckDBPyConnection
    statement: Statement
    period: str
    attribute_runs: tuple[str, ...]
    estimates_run: str | None
    retrain_run: str | None
    estimates: dict[str, str]

    @classmethod
    def read(cls, lake: duckdb.DuckDBPyConnection, statement: Statement) -> "_Side":
        row = lake.execute(
            "select period, attribute_runs, estimates_run, retrain_run, calibration from valuations "
            "where run_id = $1 limit 1",
            [statement.value_run],
        ).fetchone()
        if row is None or row[1] is None:
            raise ValuationError(f"the lake does not hold what valuation {statement.value_run} rests on")
        period, attribute_runs, estimates_run, retrain_run, note = row
        used = _coefficients(statement.value_run, note)
        found = lake.execute(
            "select distinct name, simulate_run from estimates where run_id = $1", [estimates_run]
        ).fetchall()
        if estimates_run is not None and not found:
            raise ValuationError(f"the lake does not hold the estimates {estimates_run} any more")
        estimates = {name: run for name, run in sorted(found) if name in used or name == MAIN}
        return cls(lake, statement, period, tuple(attribute_runs), estimates_run, retrain_run, estimates)

    @property
    def usage(self) -> tuple[object, ...]:
        return self.period, self.attribute_runs, self.estimates_run, self.statement.policy.customer_cap

    @cached_property
    def trainings(self) -> list[MeasuredTraining]:
        return measured_trainings(self.lake, self.retrain_run)

    @cached_property
    def keys(self) -> frozenset[Training]:
        return frozenset(map(_key, self.trainings))

    @cached_property
    def splits(self) -> Splits:
        return {(source, publisher): Fraction(split) for source, publisher, split, _ in self._lines}

    @cached_property
    def values(self) -> dict[str, float]:
        """Values of whole sources as they were paid by, nats."""
        sums = dict.fromkeys((source for source, *_ in self._lines), 0.0)
        for source, _, _, nats in self._lines:
            sums[source] += nats
        return sums

    @cached_property
    def _lines(self) -> list[tuple[str, str, str, float]]:
        return self.lake.execute(
            "select source_id, publisher_id, split, value_nats from valuations where run_id = $1 "
            "and level = 'line' order by source_id, publisher_id",
            [self.statement.value_run],
        ).fetchall()

    @cached_property
    def sums(self) -> SourceSums:
        cap, simulate_run = self.statement.policy.customer_cap, self.statement.simulate_run
        limit = None if cap is None else Fraction(cap)
        return source_sums(
            self.lake, simulate_run, self.period, self.attribute_runs, tuple(sorted(self.values)), limit
        )


def _coefficients(value_run: str, note: str) -> Collection[str]:
    """The names of the estimates that a valuation weighed."""
    try:
        return list(json.loads(note)["coefficients"])
    except (ValueError, KeyError, TypeError):
        raise ValuationError(f"another release of tribute made valuation {value_run}") from None


def _key(training: MeasuredTraining) -> Training:
    return training.seed, tuple(sorted(training.removed))


@dataclass(frozen=True)
class _Terms:
    """The rights and the policy of the earlier statement, by which every valuation on the way is divided."""

    lake: duckdb.DuckDBPyConnection
    settings: ValuationSettings
    own: _Side

    @cached_property
    def policy(self) -> Policy:
        policy = readable_policy(self.own.statement)
        if policy is None:
            raise PolicyError("another release of tribute words the earlier policy differently")
        if "user_centric" in policy.weights:
            raise PolicyError("the earlier policy divides by the values of each customer's own queries")
        return policy

    @cached_property
    def corpus_run(self) -> str | None:
        [(corpus_run,)] = self.lake.execute(
            "select any_value(corpus_run) from trajectories where run_id = $1", [self.own.statement.train_run]
        ).fetchall()
        return corpus_run

    @cached_property
    def learnt_S(self) -> NDArray[np.float64]:
        return corpus_learnt_tokens(self.lake, self.corpus_run or "", self.own.statement.train_run)

    @cached_property
    def corpus(self) -> CorpusSources:
        rows = self.lake.execute(
            "select source_id, publisher, tokens from corpus_sources where run_id = $1 order by source_id",
            [self.corpus_run],
        ).fetchall()
        if {row[0] for row in rows} != self.own.values.keys():
            raise ValuationError("the lake does not hold the earlier corpus any more")
        return CorpusSources(tuple(r[0] for r in rows), {r[0]: r[1] for r in rows}, tuple(r[2] for r in rows))

    @cached_property
    def first_seed(self) -> int:
        [(seed,)] = self.lake.execute(
            "select coalesce(min(seed - replicate), 0) from simulations where run_id = $1",
            [self.own.statement.simulate_run],
        ).fetchall()
        return int(seed)

    def computed(self, side: _Side, trainings: Collection[Training], estimates: Collection[str]) -> Shares:
        """Shares by a usage, some of its trainings, and some runs of estimates."""
        batch = None
        if side.estimates_run is not None:
            runs = {name: run for name, run in side.estimates.items() if run in estimates}
            chosen = [each for each in side.trainings if _key(each) in trainings]
            batch = batch_estimates(
                self.lake, runs, self.first_seed, side.estimates_run, self.corpus.source_ids, chosen
            )
            batch = replace(batch, shared=side.estimates_run in side.attribute_runs)
        values = source_values(self.settings, side.sums, self.learnt_S, batch)
        found = (r for r in valuation_rows(self.corpus, self.own.splits, values) if r["level"] == "publisher")
        return self._divided([(r["publisher_id"], *(r[name] for name in FIGURES)) for r in found])

    def paid(self, side: _Side) -> Shares:
        """Shares by the values that a side paid by."""
        if side.splits == self.own.splits:
            rows = self.lake.execute(
                f"select publisher_id, {', '.join(FIGURES)} from valuations where run_id = $1 "
                "and level = 'publisher'",
                [side.statement.value_run],
            ).fetchall()
            return self._divided(rows)
        if self.policy.noise_floor:
            raise PolicyError("the earlier policy has a noise floor, and intervals under its rights are not kept")
        nats: dict[str, float] = {}
        for (source, publisher), split in self.own.splits.items():
            nats[publisher] = nats.get(publisher, 0.0) + float(split) * side.values[source]
        return self._divided([(publisher, value, value, value) for publisher, value in nats.items()])

    def _divided(self, rows: Iterable[Sequence[Any]]) -> Shares:
        """Shares by publishers' values and the ends of their intervals."""
        count = dict(zip(self.corpus.source_ids, self.corpus.tokens, strict=True))
        tokens: dict[str, int] = defaultdict(int)
        for (source, publisher), split in self.own.splits.items():
            tokens[publisher] += round(float(count[source] * split))
        claims = [
            Claim(name, _exact(value), _exact(low), _exact(high), Fraction(tokens[name]))
            for name, value, low, high in rows
        ]
        return allocate_shares(self.policy, claims).shares()


def _exact(nats: float) -> Fraction:
    return Fraction(exact(nats))


def _change(terms: _Terms, old: _Side, new: _Side) -> ValueChange:
    if old.statement.simulate_run != new.statement.simulate_run:
        raise ValuationError("the model is another one, or was simulated otherwise")
    steps: list[tuple[Cause, Shares]] = []
    last: object = None
    for cause, side, trainings, estimates in _way(old, new):
        if last != (known := (side.usage, trainings, estimates)):
            steps.append((cause, terms.computed(side, trainings, estimates)))
        last = known
    rest: Cause = "prior" if steps or old.usage == new.usage else "usage"
    before, after = len(old.trainings), len(new.trainings)
    note = f"Trainings without some sources: {before} before, {after} after."
    return ValueChange((*steps, (rest, terms.paid(new))), (note,) if before != after else ())


def _way(old: _Side, new: _Side) -> Iterator[tuple[Cause, _Side, frozenset[Training], frozenset[str]]]:
    """Valuations on the way, and the cause that leads to each: a usage, its trainings, its runs of estimates.

    There are none for semivalues, and none where nothing but settings or terms changed.
    """
    if (old.estimates_run is None) != (new.estimates_run is None):
        raise ValuationError("only one of the valuations learnt from a batch of queries")
    all_old, all_new = frozenset(old.estimates.values()), frozenset(new.estimates.values())
    if not all_old or (old.usage, old.keys, all_old) == (new.usage, new.keys, all_new):
        return
    both, common = old.keys & new.keys, all_old & all_new
    yield "prior", old, old.keys, all_old
    yield "measurements", old, both, all_old
    yield "prior", old, both, common
    yield "usage", new, both, common
    yield "measurements", new, new.keys, common
