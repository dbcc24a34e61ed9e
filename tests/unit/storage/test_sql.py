from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.storage.rows import publisher_rows
from tribute_storage import SCHEMAS, Lake, LakeError, connect, describe, query


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.append("publishers", "r1", publisher_rows("r1", ["p2", "p1"]))
    return lake


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT publisher_id FROM publishers ORDER BY 1", [{"publisher_id": "p1"}, {"publisher_id": "p2"}]),
        ("WITH p AS (FROM publishers) SELECT count(*) AS n FROM p", [{"n": 2}]),
        ("SELECT count(*) AS n FROM publishers JOIN rights USING (publisher_id);", [{"n": 0}]),
        ("WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t WHERE a < 3) FROM t ORDER BY 1",
         [{"a": 1}, {"a": 2}, {"a": 3}]),
        ("SELECT 1 AS a UNION SELECT 1", [{"a": 1}]),
        ("SELECT max(range) AS a FROM range(5)", [{"a": 4}]),
        ("VALUES ('COPY t TO x')", [{"col0": "COPY t TO x"}]),
        ("SELECT column_name FROM (DESCRIBE publishers) LIMIT 1", [{"column_name": "run_id"}]),
    ],
)  # fmt: skip
def test_reading_is_allowed(sql: str, expected: list[dict], lake: Lake) -> None:
    assert query(lake.root, sql).to_pylist() == expected


REFUSED = {
    "two statements": ("SELECT 1; SELECT 2", "Got 2 statements; a query is one SELECT"),
    "none": ("-- nothing", "Got 0 statements"),
    "copy": ("COPY publishers TO '{out}'", "COPY is refused"),
    "copy in with": ("WITH x AS (COPY (SELECT 1) TO '{out}') SELECT 1", "COPY inside a query is refused"),
    "copy over a committed file": (
        "WITH x AS (COPY (SELECT 9) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)) FROM x",
        "COPY inside a query is refused",
    ),
    "copy in serialized sql": (
        "FROM json_execute_serialized_sql(json_serialize_sql('WITH x AS (COPY (SELECT 9) TO ''{file}'' "
        "(FORMAT parquet, USE_TMP_FILE false)) FROM x'))",
        "Table function json_execute_serialized_sql is refused",
    ),
    "copy in query()": ("FROM query('SELECT 1')", "Table function query is refused"),
    "insert in with": (
        "WITH x AS (INSERT INTO publishers VALUES (1) RETURNING 1) FROM x",
        "INSERT inside a query is refused",
    ),
    "delete in with": ("WITH x AS (DELETE FROM rights RETURNING 1) FROM x", "DELETE inside a query is refused"),
    "explain analyze copy": ("EXPLAIN ANALYZE COPY publishers TO '{out}'", "EXPLAIN is refused"),
    "prepare": ("PREPARE p AS COPY publishers TO '{out}'", "PREPARE is refused"),
    "drop": ("DROP VIEW publishers", "DROP is refused"),
    "create": ("CREATE TABLE t AS SELECT 1", "CREATE is refused"),
    "attach": ("ATTACH '{out}'", "ATTACH is refused"),
    "install": ("INSTALL httpfs", "LOAD is refused"),
    "set": ("SET enable_external_access = true", r"VARIABLE_SET|SET is refused"),
    "read text": ("FROM read_text('{secret}')", "Table function read_text is refused"),
    "read by schema": ("FROM main.read_text('{secret}')", "Table function read_text is refused"),
    "glob": ("FROM glob('{secret}')", "Table function glob is refused"),
    "raw pointer": ("FROM pandas_scan(1)", "Table function pandas_scan is refused"),
    "file by name": ("SELECT * FROM '{secret}'", "file system operations are disabled"),
    "python variable": ("FROM python_variable", "python_variable does not exist"),
    "no such column": ("SELECT nmae FROM publishers", '(?s)"nmae" not found.*name'),
    "syntax": ("SELEC 1", "syntax error"),
    "depth": ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "expression depth"),
    "at run time": ("SELECT CAST(name AS INT) FROM publishers", "Could not convert"),
}


@pytest.mark.parametrize("attack", REFUSED)
def test_everything_else_is_refused_with_a_reason(attack: str, lake: Lake, tmp_path: Path) -> None:
    python_variable = pa.table({"a": [1]})
    secret, out = tmp_path / "secret.csv", tmp_path / "out"
    secret.write_text("a\nsecret\n")
    (file,) = lake.files("publishers")
    before = Path(file).read_bytes()
    sql, message = REFUSED[attack]
    with pytest.raises(LakeError, match=message):
        query(lake.root, sql.format(out=out, file=file, secret=secret))
    assert not out.exists()
    assert Path(file).read_bytes() == before
    assert python_variable.num_rows == 1


def test_describe_says_what_the_views_say(lake: Lake) -> None:
    columns = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal"
    with connect(lake.root) as connection:
        found = set(connection.execute(columns).fetchall())
    assert {tuple(row.values()) for row in describe().to_pylist()} == found
    assert len(found) == sum(len(schema) for schema in SCHEMAS.values())
