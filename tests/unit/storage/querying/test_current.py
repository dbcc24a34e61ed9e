"""Views of what is current, against totals that plain Python keeps."""

import time
from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.unit.storage.rows import any_rows
from tribute_storage import SCHEMAS, Lake, connect, open_tables

POOL = 10_000
ONE_USE = {"weight": 1.0, "inclusion_probability": 1.0, "readout_probability": 1.0}


class Books:
    """A lake to which runs are committed one by one, each a little later than the one before."""

    def __init__(self, root: Path) -> None:
        self.lake = Lake(root)

    def commit(self, table: str, run_id: str, *changes: Mapping[str, Any]) -> None:
        plain = any_rows(table).to_pylist()[0] | {"run_id": run_id}
        self.lake.append(
            table, run_id, pa.Table.from_pylist([plain | change for change in changes], SCHEMAS[table])
        )
        time.sleep(0.002)

    def attribute(
        self,
        run_id: str,
        period: str,
        nats: Mapping[tuple[str, str, int], float],
        origin: str = "batch",
        **uses: Any,
    ) -> None:
        """Influence by source, query and replicate."""
        rows = [
            {"source_id": source, "query_id": query, "replicate": replicate, "influence_nats": value}
            for (source, query, replicate), value in nats.items()
        ]
        self.commit("influence", run_id, *rows)
        asked = {"period": period, "simulate_run": "simulate", "origin": origin}
        queries = sorted({query for _, query, _ in nats})
        self.commit("queries", run_id, *(asked | ONE_USE | uses | {"query_id": query} for query in queries))

    def value(self, run_id: str, period: str, attributes: list[str] | None, publishers: str = "ab") -> None:
        rows = [
            {"level": level, "publisher_id": publisher, "period": period, "attribute_runs": attributes}
            for publisher in publishers
            for level in ("publisher", "line")
        ]
        self.commit("valuations", run_id, *rows)

    def settle(self, run_id: str, period: str, version: int, status: str | None, value_run: str) -> None:
        """Two statements of one line each, which divide the pool by the version."""
        amounts = {"a": 1000 * version, "b": POOL - 1000 * version}
        of_period = {"period": period}
        statements = [
            of_period
            | {"statement_id": f"{period} {each}", "publisher_id": each, "amount_minor": amount}
            | {"statement_version": version, "status": status, "value_run": value_run, "currency": "EUR"}
            for each, amount in amounts.items()
        ]
        lines = [
            of_period
            | {"statement_id": f"{period} {each}", "publisher_id": each, "amount_minor": amount, "line_id": each}
            for each, amount in amounts.items()
        ]
        self.commit("statement_lines", run_id, *lines)
        self.commit("statements", run_id, *statements)

    def asked(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.lake.root) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "lake")


def test_a_month_that_was_drafted_closed_and_restated_twice_sums_to_its_pool(books: Books) -> None:
    books.value("v", "2026-09", ["x"])
    for number, (version, status) in enumerate(
        ((1, None), (2, "draft"), (3, "final"), (4, "final"), (5, "final"), (6, "draft"))
    ):
        books.settle(f"s{number}", "2026-09", version, status, "v")
    books.settle("t0", "2026-10", 1, "draft", "v")
    books.settle("t1", "2026-10", 2, None, "v")
    found = books.asked(
        "SELECT period, status, statement_version, currency, sum(amount_minor) FROM statement_lines "
        "GROUP BY ALL ORDER BY 1"
    )
    assert found == [("2026-09", "final", 5, "EUR", POOL), ("2026-10", "draft", 2, "EUR", POOL)]
    assert books.asked("SELECT period, count(*), sum(amount_minor) FROM statements GROUP BY 1 ORDER BY 1") == [
        ("2026-09", 2, POOL),
        ("2026-10", 2, POOL),
    ]
    assert books.asked("SELECT sum(amount_minor) FROM history.statement_lines") == [(8 * POOL,)]
    assert books.asked("SELECT amount_minor FROM statement_lines('a', '2026-09')") == [(5000,)]


def test_a_draft_of_one_version_settled_twice_counts_once(books: Books) -> None:
    books.settle("s0", "2026-10", 1, "draft", "v0")
    books.settle("s1", "2026-10", 1, "draft", "v1")
    assert books.asked("SELECT run_id, sum(amount_minor) FROM statement_lines GROUP BY 1") == [("s1", POOL)]


def test_valuations_are_those_that_are_paid_or_else_the_latest(books: Books) -> None:
    for period in ("2026-09", "2026-10"):
        for number in range(3):
            books.value(f"{period} v{number}", period, ["x"])
    books.settle("s0", "2026-09", 1, "final", "2026-09 v1")
    books.settle("s1", "2026-09", 2, "draft", "2026-09 v2")
    found = books.asked("SELECT period, run_id, count(*) FROM valuations GROUP BY ALL ORDER BY ALL")
    assert found == [("2026-09", "2026-09 v1", 4), ("2026-10", "2026-10 v2", 4)]


def influences(*queries: str, scale: float = 1.0) -> dict[tuple[str, str, int], float]:
    return {
        (source, query, replicate): scale * (index + 1) * (1 + replicate) * (number + 1)
        for index, source in enumerate(("s1", "s2"))
        for number, query in enumerate(queries)
        for replicate in (0, 1, 2)
    }


def totals(*parts: tuple[Mapping[tuple[str, str, int], float], float]) -> dict[str, float]:
    """Means over three replicates times uses, summed by source."""
    found: Counter[str] = Counter()
    for nats, uses in parts:
        for (source, _, _), value in nats.items():
            found[source] += uses * value / 3
    return dict(found)


def by_source(books: Books, sql: str) -> dict[str, float]:
    return dict(books.asked(f"SELECT source_id, {sql} GROUP BY 1"))


def test_influences_sum_to_what_the_valuation_sums(books: Books) -> None:
    batch, live = influences("q1", "q2"), influences("live")
    books.attribute("superseded", "2026-10", influences("q1", "q2", scale=50.0))
    books.attribute("batch", "2026-10", batch, weight=3.0, inclusion_probability=0.5)
    books.attribute("service", "2026-10", live, "service", readout_probability=0.25)
    books.value("v", "2026-10", ["batch", "service"])
    books.attribute("later", "2026-10", influences("q1", "q2", scale=9.0))
    expected = pytest.approx(totals((batch, 6.0), (live, 4.0)))
    assert by_source(books, "sum(influence_nats) FROM influence") == expected
    joined = "sum(i.influence_nats / i.uses * q.uses) FROM influence i JOIN queries q USING (run_id, query_id)"
    assert by_source(books, joined) == expected
    assert books.asked("SELECT query_id, uses FROM queries ORDER BY 1") == [
        ("live", 4.0),
        ("q1", 6.0),
        ("q2", 6.0),
    ]
    assert books.asked("SELECT DISTINCT replicates, period FROM influence") == [(3, "2026-10")]
    assert books.asked("SELECT count(*) FROM history.influence") == [(7 * 6 + 0,)]
    found = dict(books.asked("SELECT source_id, influence_nats FROM influence WHERE query_id = 'live'"))
    assert found == pytest.approx(totals((live, 4.0)))


def test_a_month_without_a_valuation_shows_its_latest_attribution(books: Books) -> None:
    live = influences("live")
    books.attribute("service 1", "2026-10", live, "service")
    books.attribute("batch 1", "2026-10", influences("q1", "q2", scale=7.0))
    books.attribute("batch 2", "2026-10", influences("q1", "q2"))
    books.attribute("service 2", "2026-10", influences("live too"), "service")
    books.attribute("batch 0", "2026-09", influences("q1", scale=3.0))
    books.value("old", "2026-09", None)  # of a release that did not record what it summed
    runs = "SELECT period, run_id FROM queries GROUP BY ALL ORDER BY ALL"
    assert books.asked(runs) == [
        ("2026-09", "batch 0"),
        ("2026-10", "batch 2"),
        ("2026-10", "service 1"),
        ("2026-10", "service 2"),
    ]


def test_rights_and_corpus_are_those_that_were_read_last(books: Books) -> None:
    for number in range(2):
        books.commit("corpus_sources", f"c{number}", {"source_id": f"s{number}"})
        books.commit("rights", f"r{number}", {"source_id": f"s{number}"})
        books.commit("publishers", f"r{number}", {"publisher_id": f"p{number}"})
    books.commit("corpus_duplicates", "c0", {"source_id": "s0"})  # the corpus that was read last has none
    assert books.asked("SELECT source_id FROM corpus_sources") == [("s1",)]
    assert books.asked("SELECT source_id FROM rights") == [("s1",)]
    assert books.asked("SELECT publisher_id FROM publishers") == [("p1",)]
    assert books.asked("FROM corpus_duplicates") == []
    assert books.asked("SELECT count(*) FROM history.corpus_duplicates") == [(1,)]


def test_history_holds_the_tables_themselves(books: Books) -> None:
    for table, run_id in product(SCHEMAS, ("r1", "r2")):
        books.commit(table, run_id, {}, {})
    with open_tables(books.lake.root) as connection:
        expected = {table: connection.sql(f'FROM "{table}" ORDER BY ALL').fetchall() for table in SCHEMAS}
    with connect(books.lake.root) as connection:
        for table, rows in expected.items():
            assert len(rows) == 4
            assert connection.sql(f'FROM history."{table}" ORDER BY ALL').fetchall() == rows
