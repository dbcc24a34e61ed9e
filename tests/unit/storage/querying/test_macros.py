import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.unit.storage.rows import any_rows, bag, publisher_rows
from tribute_storage import SCHEMAS, Lake, connect
from tribute_storage.log import TableLog

MONTH = "2026-10"


def rows_with(table: str, run_id: str, *changes: dict[str, Any]) -> pa.Table:
    """Any row of a table once per change, with that change."""
    plain = any_rows(table).to_pylist()[0] | {"run_id": run_id}
    return pa.Table.from_pylist([plain | change for change in changes], SCHEMAS[table])


def asked(lake: Lake, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
    with connect(lake.root) as connection:
        return connection.execute(sql, arguments).fetchall()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def attribute(lake: Lake, run_id: str, influences: list[tuple[str, int, str, float, float]]) -> None:
    names = ("source_id", "replicate", "query_id", "influence_nats", "std_error_nats")
    rows = [dict(zip(names, each, strict=True)) for each in influences]
    lake.append("influence", run_id, rows_with("influence", run_id, *rows))
    queries = sorted({row["query_id"] for row in rows})
    uses = {"weight": 1.5, "inclusion_probability": 0.5, "readout_probability": 1.0}
    lake.append(
        "queries", run_id, rows_with("queries", run_id, *({"query_id": query} | uses for query in queries))
    )
    time.sleep(0.002)


def test_top_sources_are_the_latest_runs_means_with_their_errors(lake: Lake) -> None:
    attribute(lake, "z earlier", [("s1", 0, "q1", 9.0, 0.0)])
    latest = [
        (source, replicate, query, (replicate + 1) * weight, error)
        for source, weight in (("s1", 0.5), ("s2", -2.0), ("s3", 0.5), ("it's", 4.0))
        for replicate, error in ((0, 0.25), (1, 0.5), (2, 0.0))
        for query in ("q1", "q2")
    ]
    attribute(lake, "a latest", latest)
    attribute(lake, "z elsewhere", [("s1", 0, "q3", 7.0, 0.125)])
    by_source = defaultdict(list)
    for source, _, query, nats, error in latest:
        if query == "q1":
            by_source[source].append((nats, error))
    expected = []
    for source, found in by_source.items():
        nats, errors = zip(*found, strict=True)
        variance = statistics.variance(nats) / len(nats) + max(errors) ** 2
        error = pytest.approx(3 * sqrt(variance), rel=1e-12)
        expected.append((source, 3 * statistics.mean(nats), error, "a latest"))
    expected.sort(key=lambda row: (-row[1], row[0]))
    assert asked(lake, "FROM top_sources('q1')") == expected
    assert asked(lake, "FROM top_sources('q3')") == [("s1", 21.0, 0.375, "z elsewhere")]
    assert asked(lake, "FROM top_sources('nobody asked')") == []


def value(lake: Lake, run_id: str, values: dict[str, float], period: str = MONTH) -> None:
    rows = [
        {"level": level, "publisher_id": publisher, "value_nats": nats, "share": "1/2", "period": period}
        for publisher, nats in values.items()
        for level in ("publisher", "line")
    ]
    lake.append("valuations", run_id, rows_with("valuations", run_id, *rows))
    time.sleep(0.002)


def settle(lake: Lake, run_id: str, value_run: str, version: int, lines: list[tuple[str, str, int]]) -> None:
    """Statements `st P` of a month, one per publisher, and their lines: publisher, source, amount."""
    publishers = sorted({publisher for publisher, _, _ in lines})
    statements = [
        {"value_run": value_run, "statement_id": f"st {each}", "statement_version": version, "period": MONTH}
        | {"publisher_id": each, "currency": "JPY"}
        for each in publishers
    ]
    rows = [
        {"statement_id": f"st {publisher}", "line_id": f"l {source}", "period": MONTH, "publisher_id": publisher}
        | {"source_id": source, "amount_minor": amount}
        for publisher, source, amount in lines
    ]
    lake.append("statements", run_id, rows_with("statements", run_id, *statements))
    lake.append("statement_lines", run_id, rows_with("statement_lines", run_id, *rows))
    time.sleep(0.002)


def test_a_publishers_value_is_the_settled_one_or_else_the_latest(lake: Lake) -> None:
    sql = "SELECT publisher_id, value_nats, share, run_id FROM publisher_value(?)"
    value(lake, "z", {"p1": 1.0, "p2": 2.0})
    value(lake, "other month", {"p1": 9.0}, "2026-09")
    value(lake, "a", {"p1": 4.0, "p2": 3.0})
    assert asked(lake, sql, MONTH) == [("p1", 4.0, "1/2", "a"), ("p2", 3.0, "1/2", "a")]
    settle(lake, "s1", "a", 1, [("p1", "x", 1)])
    settle(lake, "s2", "z", 2, [("p1", "x", 1)])
    assert asked(lake, sql, MONTH) == [("p2", 2.0, "1/2", "z"), ("p1", 1.0, "1/2", "z")]
    assert asked(lake, sql, "2026-09") == [("p1", 9.0, "1/2", "other month")]
    assert asked(lake, sql, "1999-01") == []


def test_statement_lines_are_the_newest_statements_by_amount(lake: Lake) -> None:
    settle(lake, "s1", "v", 1, [("p1", "x", 100), ("p2", "y", 7)])
    newest = [("p1", "a", 2), ("p1", "b", 30), ("p1", "c", 2), ("p2", "y", 8)]
    settle(lake, "s2", "v", 2, newest)
    columns = "statement_id, statement_version, line_id, source_id, amount_minor, currency"
    sql = f"SELECT {columns} FROM statement_lines(?, ?)"
    mine = sorted((row for row in newest if row[0] == "p1"), key=lambda row: (-row[2], row[1]))
    expected = [("st p1", 2, f"l {source}", source, amount, "JPY") for _, source, amount in mine]
    assert asked(lake, sql, "p1", MONTH) == expected
    assert asked(lake, sql, "p3", MONTH) == asked(lake, sql, "p1", "2026-09") == []


def test_usage_has_every_query_once_as_it_first_happened(lake: Lake) -> None:
    def event(query: str, second: int, weight: float) -> dict[str, Any]:
        return {"query_id": query, "time": datetime(2026, 10, 1, 0, 0, second, tzinfo=UTC), "weight": weight}

    batches = {
        "r1": [event("q1", 5, 1.0), event("q2", 5, 1.0)],
        "r2": [event("q1", 3, 2.0), event("q1", 4, 3.0), event("q3", 1, 1.0)],
        "r3": [event("q2", 5, 0.5)],
    }
    for run_id, events in batches.items():
        lake.append("usage_events", run_id, rows_with("usage_events", run_id, *events))
    first: dict[str, dict[str, Any]] = {}
    for each in (each for events in batches.values() for each in events):
        best = first.get(each["query_id"])
        if best is None or (each["time"], each["weight"]) < (best["time"], best["weight"]):
            first[each["query_id"]] = each
    found = asked(lake, "SELECT query_id, time, weight FROM usage ORDER BY query_id")
    assert found == [tuple(first[query].values()) for query in sorted(first)]


def test_runs_are_listed_per_table_with_their_moment(lake: Lake) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    for table in SCHEMAS:
        for run_id in ("r1", "r2"):
            lake.append(table, run_id, rows_with(table, run_id, {}, {}))
    found = asked(lake, "SELECT table_name, run_id, committed_at FROM runs ORDER BY ALL")
    expected = sorted((table, run_id) for table in SCHEMAS if table != "influence" for run_id in ("r1", "r2"))
    assert [row[:2] for row in found] == expected
    for table, run_id, moment in found:
        assert before <= moment <= datetime.now(UTC)
        committed = TableLog(lake.location, table).committed_at(run_id)
        assert committed == round(moment.timestamp() * 1000)


def test_as_of_shows_any_version_beside_today(lake: Lake) -> None:
    expected = []
    for number in range(3):
        expected.append(publisher_rows(f"r{number}", [f"p{number}"]))
        lake.append("publishers", f"r{number}", expected[-1])
    with connect(lake.root) as connection:
        for number in range(3):
            found = connection.sql(f"FROM as_of('publishers', {number})").to_arrow_table()
            assert bag(found) == bag(*expected[: number + 1])
        sql = "SELECT count(*) FROM history.publishers p ANTI JOIN as_of('publishers', 0) o USING (publisher_id)"
        assert connection.execute(sql).fetchall() == [(2,)]
        for wrong, message in {
            "'publishers', 3": "cannot be read of version 3",
            "'rights', 0": "has no version 0: nothing was committed to it yet",
            "'writes', 0": "no table 'writes'",
        }.items():
            with pytest.raises(duckdb.Error, match=message):
                connection.execute(f"FROM as_of({wrong})")
