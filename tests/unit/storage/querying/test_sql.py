import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.unit.storage.hostile import (
    DECIDED_AGAINST,
    EXHAUSTING,
    REFUSED,
    SECRET,
    TIME,
    Scene,
    attempt,
    scene,
)
from tests.unit.storage.rows import publisher_rows
from tribute_storage import LakeError, query
from tribute_storage.querying.reading_only import FUNCTIONS, OUR_TABLE_MACROS, READING_FUNCTIONS
from tribute_storage.querying.sandbox import Limits
from tribute_storage.querying.sql import open_lake
from tribute_storage.querying.views import committed_files, connect

SMALL = Limits(seconds=3, memory_gib=0.5)
ALIKE = {"many columns", "big hash", "format", "long in", "long sql"}
"""Stopped by the limits of time and memory, as others are that are quick tests."""
IN_A_CHILD = {"copy over a committed file", "read_text", "python variable", "settings", "own error"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scene(tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def fenced(stage: Scene) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_lake(stage.lake.root, committed_files(stage.lake.root), [], Limits()) as connection:
        yield connection


READING = [
    ("SELECT publisher_id FROM publishers ORDER BY 1", [{"publisher_id": "p1"}, {"publisher_id": "p2"}]),
    ("WITH p AS (FROM publishers) SELECT count(*) AS n FROM p", [{"n": 2}]),
    ("SELECT count(*) AS n FROM publishers JOIN rights USING (publisher_id);", [{"n": 0}]),
    (
        "WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t WHERE a < 3) FROM t ORDER BY 1",
        [{"a": 1}, {"a": 2}, {"a": 3}],
    ),
    ("SELECT 1 AS a UNION SELECT 1", [{"a": 1}]),
    ("SELECT max(range) AS a FROM range(5)", [{"a": 4}]),
    ("VALUES ('COPY t TO x')", [{"col0": "COPY t TO x"}]),
    ("SELECT column_name FROM (DESCRIBE publishers) LIMIT 1", [{"column_name": "run_id"}]),
    ("SELECT column_name FROM (SUMMARIZE publishers) LIMIT 1", [{"column_name": "run_id"}]),
    ("SELECT count(*) AS n FROM (SHOW TABLES) WHERE name = 'publishers'", [{"n": 1}]),
    ("SELECT count(*) AS n FROM information_schema.tables WHERE table_name = 'publishers'", [{"n": 2}]),
    (
        "SELECT row_number() OVER w AS a, name ILIKE 'p%' AND name NOT IN ('x') AS b, CASE WHEN 1 THEN 1 END c "
        "FROM main.publishers WINDOW w AS (ORDER BY name) QUALIFY a = 1 ORDER BY ALL LIMIT 100%",
        [{"a": 1, "b": True, "c": 1}],
    ),
    (
        "SELECT list_transform([1], lambda x: x + 1)[1] AS a, {'b': 1}.b AS b, '[2]'::JSON->>0 AS c",
        [{"a": 2, "b": 1, "c": "2"}],
    ),
    ("PIVOT publishers ON run_id IN ('r1') USING count(*) GROUP BY run_id", [{"run_id": "r1", "r1": 2}]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), READING)
def test_reading_is_allowed(sql: str, expected: list[dict], fenced: duckdb.DuckDBPyConnection) -> None:
    attempt(fenced, sql)
    assert fenced.sql(sql).to_arrow_table().to_pylist() == expected


@pytest.mark.parametrize(("sql", "expected"), READING[::7])
def test_reading_is_allowed_in_a_child(sql: str, expected: list[dict], stage: Scene) -> None:
    assert query(stage.lake.root, sql).to_pylist() == expected


@pytest.mark.parametrize("attack", REFUSED)
def test_everything_else_is_refused_with_a_reason(
    attack: str, stage: Scene, fenced: duckdb.DuckDBPyConnection
) -> None:
    """A few are asked in a child as users' queries are, the others in this process, where it takes no time."""
    before = stage.files()
    sql, message = REFUSED[attack]
    with pytest.raises((LakeError, duckdb.Error), match=message) as told:
        if attack in IN_A_CHILD:
            query(stage.lake.root, stage.statement(sql))
        else:
            attempt(fenced, stage.statement(sql))
    assert SECRET not in str(told.value)
    assert stage.files() == before


def test_without_the_fence_duckdb_reads_a_python_variable() -> None:
    with duckdb.connect() as connection:
        assert attempt(connection, REFUSED["python variable"][0]) == [(SECRET,)]


@pytest.mark.parametrize(
    "attack", [pytest.param(each, marks=pytest.mark.slow if each in ALIKE else ()) for each in EXHAUSTING]
)
def test_what_takes_too_much_is_stopped(attack: str, stage: Scene) -> None:
    before = stage.files()
    sql, message = EXHAUSTING[attack]
    with pytest.raises(LakeError, match=f"{message}|{TIME}"):  # whichever limit comes first on this machine
        query(stage.lake.root, sql, limits=SMALL)
    assert stage.files() == before


@pytest.mark.parametrize("attack", ["read_text", "read_duckdb", "file by name", "file behind a link", "http url"])
def test_the_connection_alone_keeps_secrets(attack: str, stage: Scene, fenced: duckdb.DuckDBPyConnection) -> None:
    """Were a statement let through, DuckDB would still not open the file."""
    with pytest.raises(duckdb.Error) as told:
        fenced.sql(stage.statement(REFUSED[attack][0])).fetchall()
    assert SECRET not in str(told.value)


def test_every_function_of_duckdb_is_decided(fenced: duckdb.DuckDBPyConnection) -> None:
    rows = fenced.execute("SELECT function_type, lower(function_name) FROM duckdb_functions()").fetchall()
    tables = {name for kind, name in rows if kind.startswith("table")}
    known = {name for kind, name in rows if kind in {"scalar", "aggregate", "macro", "window"}}
    refused = {name for name in known if any(re.fullmatch(each, name) for each in DECIDED_AGAINST.values())}
    assert known - FUNCTIONS - refused == set()
    assert FUNCTIONS & refused == set()
    assert FUNCTIONS - known == {"unnest"}  # the binder's own
    assert READING_FUNCTIONS - tables == set()
    assert tables >= OUR_TABLE_MACROS


def test_variables_work_in_the_locked_connection_but_not_for_its_users(tmp_path: Path) -> None:
    connection = connect(tmp_path)
    connection.execute("SET VARIABLE x = 3")
    connection.execute("CREATE OR REPLACE MACRO as_of(a, b) AS TABLE SELECT getvariable('x') AS found")
    connection.execute("SET lock_configuration = true")
    assert attempt(connection, "SELECT found FROM as_of('t', 0)") == [(3,)]
    with pytest.raises(LakeError, match="getvariable is refused"):
        attempt(connection, "SELECT getvariable('x')")


def test_a_query_sees_a_version_by_argument_or_by_macro(tmp_path: Path) -> None:
    stage = scene(tmp_path)
    stage.lake.append("publishers", "r2", publisher_rows("r2", ["p3"]))
    count = "SELECT count(*) AS n FROM "
    assert query(stage.lake.root, count + "history.publishers").to_pylist() == [{"n": 3}]
    assert query(stage.lake.root, count + "history.publishers", as_of="publishers=0").to_pylist() == [{"n": 2}]
    assert query(stage.lake.root, count + "AS_OF('publishers', 0)").to_pylist() == [{"n": 2}]
    with pytest.raises(LakeError, match=r"no table '\.\./x'"):
        query(stage.lake.root, "FROM as_of('../x', 0)")
