"""What moved values between two valuations, cause by cause, in a lake of six sources and four trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from tests.statements import issue, line, publisher
from tribute.catalog import value_change
from tribute.catalog.estimates import batch_estimates, corpus_learnt_tokens, measured_trainings
from tribute.catalog.sums import source_sums
from tribute.config import ValuationSettings
from tribute.royalty.division import DEFAULT_POLICY, Policy
from tribute.royalty.document import Statement
from tribute.royalty.statement import Comparison, Pool, compare
from tribute.valuation import exact, source_values
from tribute.valuation.rows import CorpusSources, Splits, valuation_rows
from tribute_storage import SCHEMAS

NAMES = tuple("abcdef")
TOKENS = (900, 100, 400, 500, 300, 600)
WORTH_S = np.array([4.0, 3.0, 2.0, 1.0, 0.5, -0.6])
CORPUS = CorpusSources(NAMES, dict.fromkeys(NAMES, ""), TOKENS)
OWN: Splits = {(name, f"house-{name}"): Fraction(1) for name in NAMES}
EMPTY = {"string": "", "list<item: string>": [], "timestamp[us, tz=UTC]": 0, "bool": False}
SINGLES = [(seed, (name,)) for name in "ab" for seed in (0, 1)]
FURTHER = [*SINGLES, (0, ("c",)), (1, ("d", "e"))]
SETTINGS = ValuationSettings(budget=4, resamples=100)
LATE = [("b", 30)]


@dataclass
class World:
    """A lake, and what every use and every training is worth in it, the same whoever asks."""

    lake: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        for table in ("queries", "influence", "predicted", "estimates", "simulations", "measurements"):
            self.add(table, [])
        for table in ("valuations", "trajectories", "corpus_sources", "learning"):
            self.add(table, [])
        tokens = zip(NAMES, TOKENS, strict=True)
        self.add(
            "corpus_sources", [{"run_id": "corpus-1", "source_id": s, "tokens": count} for s, count in tokens]
        )
        self.add("trajectories", [{"run_id": "train-1", "corpus_run": "corpus-1"}])
        falls = zip(NAMES, (2.0, 2.0, 2.0, 0.5, 2.0, 2.0), strict=True)
        lost = [{"source_id": name, "loss_before_nats": fall} for name, fall in falls]
        self.add("learning", [each | {"run_id": "train-1"} for each in lost])
        units = [{"unit_id": name, "removed": [name]} for name in NAMES]
        both = [unit | {"replicate": r, "seed": r} for unit in units for r in (0, 1)]
        self.add("simulations", [each | {"run_id": "simulate-1"} for each in both])

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of a table; what is not given is empty."""
        schema = SCHEMAS[table]
        blank = {each.name: None if each.nullable else EMPTY.get(str(each.type), 0) for each in schema}
        assert all(row.keys() <= blank.keys() for row in rows), table
        made = pa.Table.from_pylist([blank | dict(row) for row in rows], schema)
        self.lake.register("made", made)
        self.lake.execute(f"create table if not exists {table} as from made limit 0")
        self.lake.execute(f"insert into {table} from made")

    def batch(self, run: str, late: Sequence[tuple[str, int]] = (), estimates: Sequence[str] = ()) -> None:
        """240 uses of all sources, and late ones of one source: influences, and the totals of every estimate."""
        uses, influence_RQS = _influences(late)
        common = {"run_id": run, "simulate_run": "simulate-1", "period": "2026-10", "weight": 1.0}
        common |= {"inclusion_probability": 1.0, "readout_probability": 1.0}
        self.add("queries", [common | {"query_id": query} for query in uses])
        self.add(
            "influence",
            [
                {"run_id": run, "source_id": s, "replicate": r, "query_id": q, "influence_nats": nats_S[i]}
                for r, nats_QS in enumerate(influence_RQS.tolist())
                for q, nats_S in zip(uses, nats_QS, strict=True)
                for i, s in enumerate(NAMES)
            ],
        )
        for number, name in enumerate(("simulated", *estimates)):
            totals_RS = influence_RQS.sum(1) + 3 * number * np.random.default_rng(number).normal(size=(2, 6))
            self.add(
                "estimates",
                [
                    {"run_id": run, "simulate_run": f"simulate-{number + 1}", "name": name, "unit_id": s}
                    | {"replicate": r, "nats": totals_RS[r, i]}
                    for r in (0, 1)
                    for i, s in enumerate(NAMES)
                ],
            )

    def measure(self, run: str, batch: str, trainings: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        """What trainings lost on a batch's queries."""
        queries = [
            q for (q,) in self.lake.execute("select query_id from queries where run_id = $1", [batch]).fetchall()
        ]
        late = [("b", sum(query.startswith("late") for query in queries))]
        worth_S = _worth(late).sum(0)
        rows = [
            {"run_id": run, "retrain_run": run, "attribute_run": batch, "seed": seed, "unit_id": "+".join(removed)}
            | {"removed": removed, "cost": 1.0, "lost_nats": _lost(worth_S, seed, removed)}
            for seed, removed in trainings
        ]
        self.add("measurements", rows)

    def value(
        self,
        run: str,
        batch: str,
        retrained: str,
        splits: Splits = OWN,
        settings: ValuationSettings = SETTINGS,
        policy: Policy = DEFAULT_POLICY,
        pool: int = 221_000,
        estimates: Mapping[str, str] | None = None,
    ) -> list[Statement]:
        """Value a month as the stage does, and settle it."""
        names = estimates or {"simulated": "simulate-1"}
        measured = measured_trainings(self.lake, retrained)
        learnt_S = corpus_learnt_tokens(self.lake, "corpus-1", "train-1")
        sums = source_sums(self.lake, "simulate-1", "2026-10", [batch], NAMES)
        found = batch_estimates(self.lake, names, 0, batch, NAMES, measured)
        values = source_values(settings, sums, learnt_S, replace(found, shared=True))
        rows = valuation_rows(CORPUS, splits, values)
        labels = {"run_id": run, "simulate_run": "simulate-1", "period": "2026-10", "attribute_runs": [batch]}
        labels |= {"estimates_run": batch, "retrain_run": retrained, "queries": sums.queries}
        self.add("valuations", [row | labels for row in rows])
        payees = []
        for row in (each for each in rows if each["level"] == "publisher"):
            lines = [
                line(each["source_id"], "0", "0", round(each["tokens"]), split=Fraction(each["split"]))
                for each in rows
                if each["level"] == "line" and each["publisher_id"] == row["publisher_id"]
            ]
            nats = {name: exact(row[name]) for name in ("value_nats", "ci_low_nats", "ci_high_nats")}
            payees.append(replace(publisher(row["publisher_id"], lines), usage_count=sums.queries, **nats))
        return issue(payees, [Pool("main", "EUR", pool)], value_run=run, policy=policy)

    def changed(self, before: list[Statement], after: list[Statement], **settings: Any) -> Comparison:
        """The comparison, which adds up."""
        asked = SETTINGS.model_copy(update=settings)
        found = compare(before, after, value_change(self.lake, asked, before[0], after[0]))
        for move in found.publishers:
            parts = [getattr(move, f"{name}_minor") for name in (*CAUSES, "values", "rounding")]
            assert move.before_minor + sum(parts) == move.after_minor
            assert abs(move.rounding_minor) <= 3
        return found


CAUSES = ("usage", "measurements", "prior", "terms")


def _worth(late: Sequence[tuple[str, int]]) -> np.ndarray:
    """What a training loses of every use without a source, [Q, S] nats; a late use is one source's alone."""
    rng = np.random.default_rng(7)
    regular_QS = WORTH_S / 240 * (1 + 0.5 * rng.normal(size=(240, 6)))
    rows = [0.05 * np.eye(6)[NAMES.index(name)] for name, count in late for _ in range(count)]
    return np.array([*regular_QS, *rows])


def _influences(late: Sequence[tuple[str, int]]) -> tuple[list[str], np.ndarray]:
    """Ids of the uses, and influences by two replicates, [R, Q, S], biased and noisy."""
    worth_QS = _worth(late)
    bias_S = np.array([0.8, 1.3, 0.7, 1.2, 1.0, 0.9])
    noise_RQS = np.random.default_rng(8).normal(size=(2, 400, 6))[:, : len(worth_QS)] * 0.004
    uses = [f"q{n}" for n in range(240)] + [f"late{n}" for n in range(len(worth_QS) - 240)]
    return uses, worth_QS * bias_S + noise_RQS


def _lost(worth_S: np.ndarray, seed: int, removed: tuple[str, ...]) -> float:
    rng = np.random.default_rng([seed, *map(ord, removed)])
    return float(sum(worth_S[NAMES.index(name)] for name in removed) + 0.15 * rng.normal())


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.batch("attribute-1")
    made.batch("attribute-2", LATE)
    made.batch("attribute-3", estimates=["estimate 0"])
    made.measure("retrain-1", "attribute-1", SINGLES)
    made.measure("retrain-2", "attribute-2", SINGLES)
    made.measure("retrain-3", "attribute-1", FURTHER)
    made.measure("retrain-4", "attribute-2", FURTHER)
    made.measure("retrain-5", "attribute-3", SINGLES)
    return made


@pytest.fixture(scope="module")
def first(world: World) -> list[Statement]:
    return world.value("value-1", "attribute-1", "retrain-1")


def moved(found: Comparison) -> set[str]:
    """The causes that moved anybody's money."""
    names = (*CAUSES, "values")
    return {name for name in names if any(getattr(each, f"{name}_minor") for each in found.publishers)}


def test_late_uses_on_one_source_move_others_by_what_they_say(world: World, first: list[Statement]) -> None:
    found = world.changed(first, world.value("value-2", "attribute-2", "retrain-2"))
    assert moved(found) == {"usage"} and found.causes_known
    assert "Queries: 240 before, 270 after." in found.notes
    total = sum(max(float(each.value_nats), 0) for each in first)
    influence_QS = _influences(LATE)[1].mean(0)
    simulated_S, new_S = influence_QS[:240].sum(0), influence_QS[240:].sum(0)
    value = {NAMES.index(each.publisher_id[-1]): float(each.value_nats) for each in first}
    value_S = np.array([value[s] for s in range(len(NAMES))])
    worth = value_S @ simulated_S / (simulated_S @ simulated_S)  # of a simulated nat
    after = {f"house-{NAMES[s]}": max(value_S[s] + worth * new_S[s], 0) for s in range(len(NAMES))}
    for move in found.publishers:
        if move.publisher_id != "house-b":
            said = 221_000 * after[move.publisher_id] / sum(after.values())
            assert abs(move.after_minor - said) <= 0.05 * move.before_minor, (move, said)
    assert total > 0 and found.publishers[0].publisher_id == "house-b"


def test_further_trainings_change_only_measurements(world: World, first: list[Statement]) -> None:
    found = world.changed(first, world.value("value-3", "attribute-1", "retrain-3"))
    assert moved(found) == {"measurements"}
    assert "Trainings without some sources: 4 before, 6 after." in found.notes
    back = world.changed(world.value("value-3b", "attribute-1", "retrain-3"), first)
    forth = {each.publisher_id: each.measurements_minor for each in found.publishers}
    assert {each.publisher_id: -each.measurements_minor for each in back.publishers} == forth


def test_usage_and_trainings_are_told_apart(world: World, first: list[Statement]) -> None:
    alone = world.changed(first, world.value("value-4a", "attribute-2", "retrain-2"))
    found = world.changed(first, world.value("value-4", "attribute-2", "retrain-4"))
    assert moved(found) == {"usage", "measurements"}
    usage = {each.publisher_id: each.usage_minor for each in alone.publishers}
    assert {each.publisher_id: each.usage_minor for each in found.publishers} == usage


@pytest.mark.parametrize("changed", ["rights", "policy", "pool"])
def test_other_terms_change_only_terms(changed: str, world: World, first: list[Statement]) -> None:
    shared = OWN | {("a", "house-a"): Fraction(1, 3), ("a", "house-b"): Fraction(2, 3)}
    terms: dict[str, dict[str, Any]] = {
        "rights": {"splits": shared},
        "policy": {"policy": Policy("tokens", basis="token_count")},
        "pool": {"pool": 300_000},
    }
    found = world.changed(first, world.value(f"value-{changed}", "attribute-1", "retrain-1", **terms[changed]))
    assert moved(found) == {"terms"}
    assert found.notes[0].startswith(changed.title() + ": ")


def test_other_estimates_and_settings_change_only_the_prior(world: World, first: list[Statement]) -> None:
    both = {"estimate 0": "simulate-2", "simulated": "simulate-1"}
    more = world.value("value-5", "attribute-3", "retrain-5", estimates=both)
    assert moved(world.changed(first, more)) == {"prior"}
    other = world.value("value-6", "attribute-1", "retrain-1", settings=SETTINGS.model_copy(update={"seed": 9}))
    assert moved(world.changed(first, other, seed=9)) == {"prior"}


def test_what_cannot_be_computed_again_is_one_part_and_says_why(world: World, first: list[Statement]) -> None:
    after = world.value("value-7", "attribute-2", "retrain-4")
    cases = [
        ([each.model_copy(update={"simulate_run": "simulate-9"}) for each in after], "the model is another one"),
        ([each.model_copy(update={"value_run": "value-9"}) for each in after], "what valuation value-9 rests on"),
    ]
    world.lake.execute(
        "insert into valuations select * replace ('value-8' as run_id, '[]' as calibration) "
        "from valuations where run_id = 'value-7'"
    )
    older = [each.model_copy(update={"value_run": "value-8"}) for each in after]
    cases.append((older, "another release of tribute made valuation value-8"))
    for statements, reason in cases:
        found = world.changed(first, statements)
        assert moved(found) == {"values"} and not found.causes_known
        assert reason in found.notes[-1]
