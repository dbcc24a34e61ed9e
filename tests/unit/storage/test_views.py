from pathlib import Path

import pytest

from tests.unit.storage.rows import any_rows, publisher_rows
from tribute_storage import SCHEMAS, Lake, connect
from tribute_storage.schemas import doc_of

COLUMNS = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index"


@pytest.mark.parametrize("table", SCHEMAS)
def test_a_missing_table_is_an_empty_relation_with_the_columns_it_will_have(table: str, tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        before = connection.execute(COLUMNS, [table]).fetchall()
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == []
    Lake(tmp_path).append(table, "r1", any_rows(table))
    with connect(tmp_path) as connection:
        assert connection.execute(COLUMNS, [table]).fetchall() == before
        assert connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist() == any_rows(table).to_pylist()


def test_a_connection_reads_one_moment(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    with connect(tmp_path) as before:
        lake.append("publishers", "r2", publisher_rows("r2", ["p2"]))
        assert before.execute("SELECT run_id FROM publishers").fetchall() == [("r1",)]
    with connect(tmp_path) as after:
        assert after.execute("SELECT run_id FROM publishers ORDER BY 1").fetchall() == [("r1",), ("r2",)]


def test_only_committed_files_are_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    lake.stage("publishers", publisher_rows("r2", ["staged"]))
    with connect(tmp_path) as connection:
        assert connection.execute("SELECT publisher_id FROM publishers").fetchall() == [("p1",)]


def test_tables_carry_their_documentation_as_comments(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        found = dict(
            connection.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall()
        )
    assert found == {table: doc_of(schema) for table, schema in SCHEMAS.items()}
