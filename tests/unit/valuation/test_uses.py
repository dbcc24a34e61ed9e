"""Weights of uses under a cap on customers: arrays and SQL against loops in fractions."""

from datetime import UTC, datetime
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tribute.catalog import attribution, customer_uses
from tribute.catalog.sums import source_sums
from tribute.config import Project, load_project
from tribute.corpus import QueryTable, array_queries
from tribute.corpus.queries import Accounting
from tribute.valuation import SourceSums, query_uses
from tribute_storage import SCHEMAS, Lake, open_tables

CUSTOMERS = ("flood", "flood", "flood", None, "ada", "bob", "flood", "cyd", None, "bob")
WEIGHTS = (8.0, 8.0, 2.0, 30.0, 3.0, 2.0, 6.0, 4.0, 1.0, 3.0)
INCLUSION = (0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 0.25, 1.0)
SOURCES = ("a", "b", "c")


def table() -> QueryTable:
    count = len(CUSTOMERS)
    said = Accounting(customers=CUSTOMERS, weights=WEIGHTS, inclusion=INCLUSION)
    return array_queries([f"q{n}" for n in range(count)], np.eye(count, dtype=np.float32), [0] * count, said)


def naive(cap: F) -> list[F]:
    """Cut the largest customers again and again, until nobody named has more than the cap of what is left."""
    uses = [F(w) / F(i) for w, i in zip(WEIGHTS, INCLUSION, strict=True)]
    raw = {name: sum(u for u, n in zip(uses, CUSTOMERS, strict=True) if n == name) for name in CUSTOMERS if name}
    cut: set[str] = set()
    level = F(0)
    while True:
        rest = sum(number for name, number in raw.items() if name not in cut)
        level = cap * rest / (1 - cap * len(cut)) if cut else level
        over = {n for n, number in raw.items() if n not in cut and number > (level if cut else cap * rest)}
        if not over:
            break
        cut |= {max(over, key=lambda name: raw[name])}
    counts = {name: level / number if name in cut else F(1) for name, number in raw.items()}
    return [use * counts.get(name, F(1)) for use, name in zip(uses, CUSTOMERS, strict=True)]


def influence() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, len(CUSTOMERS), len(SOURCES)))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """One batch of these queries, read out in two replicates."""
    queries, found = table(), Lake(tmp_path / "lake")
    moment = datetime(2026, 10, 1, tzinfo=UTC)
    common = {"run_id": "attribute-1", "simulate_run": "simulate-1", "period": "2026-10", "origin": "batch"}
    common |= {"time": moment, "readout_probability": 1.0, "similarity": 1.0, "unlike_corpus": False}
    rows = [
        common
        | {"query_id": name, "customer_id": customer, "weight": weight, "inclusion_probability": inclusion}
        | {"measurement_nats": 1.0, "content_sha256": "0"}
        for name, customer, weight, inclusion in zip(queries.query_ids, CUSTOMERS, WEIGHTS, INCLUSION, strict=True)
    ]
    nats = [
        {"run_id": "attribute-1", "query_id": name, "source_id": source, "replicate": r}
        | {"influence_nats": value, "std_error_nats": 0.0}
        for r, of_replicate in enumerate(influence())
        for name, row in zip(queries.query_ids, of_replicate, strict=True)
        for source, value in zip(SOURCES, row.tolist(), strict=True)
    ]
    found.append("influence", "attribute-1", pa.Table.from_pylist(nats, SCHEMAS["influence"]))
    found.append("queries", "attribute-1", pa.Table.from_pylist(rows, SCHEMAS["queries"]))
    return found


@pytest.mark.parametrize("cap", [F(1, 4), F(1, 3), F(2, 5), F(1, 2), F(9, 10)])
def test_uses_are_cut_to_the_cap_of_what_named_customers_have_left(cap: F) -> None:
    expected = naive(cap)
    np.testing.assert_allclose(query_uses(table(), cap), [float(use) for use in expected], rtol=1e-9)
    named = [(name, use) for name, use in zip(CUSTOMERS, expected, strict=True) if name]
    total = sum(use for _, use in named)
    assert max(sum(use for name, use in named if name == each) for each, _ in named) <= cap * total
    assert [expected[n] for n in (3, 8)] == [30, 4], "uses of nobody in particular are not limited"


def test_without_a_cap_every_use_counts_its_weight_over_its_inclusion() -> None:
    np.testing.assert_array_equal(query_uses(table(), None), np.divide(WEIGHTS, INCLUSION))


@pytest.mark.parametrize("cap", [None, F(1, 4), F(2, 5)])
def test_sums_in_the_lake_are_those_of_the_arrays(lake: Lake, cap: F | None) -> None:
    with open_tables(lake.root) as connection:
        found = source_sums(connection, "simulate-1", "2026-10", ["attribute-1"], SOURCES, cap)
        uses = customer_uses(connection, "simulate-1", "2026-10", ["attribute-1"])
    expected = SourceSums.of_queries(SOURCES, influence().astype(np.float32).astype(np.float64), table(), cap)
    np.testing.assert_allclose(found.nats_RGS, expected.nats_RGS, rtol=1e-4, atol=1e-4)
    by_hand = np.einsum("q,rqs->rs", query_uses(table(), cap), influence())
    np.testing.assert_allclose(found.nats_RGS.sum(1), by_hand, rtol=1e-3, atol=1e-2)
    assert {name: float(number) for name, number in uses.items()} == {"ada": 3, "bob": 5, "cyd": 4, "flood": 38}


def test_a_batch_is_named_after_the_cap_and_service_queries_are_not(tmp_path: Path) -> None:
    path = tmp_path / "project.yaml"
    path.write_text("name: p\ncorpus: {kind: installed_docs}\n")
    plain: Project = load_project(path)
    capped = plain.model_copy(update={"policy": {"customer_cap": "1/4"}})
    batch = [attribution(each, table(), "2026-10").run_id for each in (plain, capped)]
    service = [attribution(each, table(), "2026-10", "service").run_id for each in (plain, capped)]
    assert batch[0] != batch[1]
    assert service[0] == service[1]
