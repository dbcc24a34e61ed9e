from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.unit.storage.rows import any_rows, publisher_rows
from tribute_storage import SCHEMAS, Lake, LakeError, connect, open_tables
from tribute_storage.querying.current import current_doc
from tribute_storage.querying.macros import VIEWS
from tribute_storage.querying.views import document
from tribute_storage.schemas import doc_of

COLUMNS = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index"


def test_a_missing_table_is_an_empty_relation_with_the_columns_it_will_have(tmp_path: Path) -> None:
    with open_tables(tmp_path) as connection:
        before = {table: connection.execute(COLUMNS, [table]).fetchall() for table in SCHEMAS}
        assert [table for table in SCHEMAS if connection.execute(f"SELECT * FROM {table}").fetchall()] == []
    for table in SCHEMAS:
        Lake(tmp_path).append(table, "r1", any_rows(table))
        with open_tables(tmp_path, table) as connection:
            assert connection.execute(COLUMNS, [table]).fetchall() == before[table]
            found = connection.sql(f"SELECT * FROM {table}").to_arrow_table()
            assert found.to_pylist() == any_rows(table).to_pylist()


def test_a_connection_reads_one_moment(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    with open_tables(tmp_path) as before:
        lake.append("publishers", "r2", publisher_rows("r2", ["p2"]))
        assert before.execute("SELECT run_id FROM publishers").fetchall() == [("r1",)]
    with open_tables(tmp_path) as after:
        assert after.execute("SELECT run_id FROM publishers ORDER BY 1").fetchall() == [("r1",), ("r2",)]


def test_only_committed_files_are_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    lake.stage("publishers", publisher_rows("r2", ["staged"]))
    with open_tables(tmp_path) as connection:
        assert connection.execute("SELECT publisher_id FROM publishers").fetchall() == [("p1",)]


def test_tables_carry_their_documentation_as_comments(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        document(connection)
        sql = "SELECT schema_name, view_name, comment FROM duckdb_views() WHERE NOT internal"
        found = {(schema, name): comment for schema, name, comment in connection.execute(sql).fetchall()}
    whole = {("history", table): f"Every row ever. {doc_of(schema)}" for table, schema in SCHEMAS.items()}
    current = {("main", table): current_doc(table) for table in SCHEMAS}
    assert found == whole | current | {("main", name): doc for name, doc in VIEWS.items()}


@pytest.mark.parametrize("as_of", ["yesterday", "publishers=x", "publishers", "publishers=1,", ""])
def test_what_is_neither_a_moment_nor_versions_is_refused(as_of: str, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"neither a moment such as .* nor versions such as"):
        open_tables(tmp_path, as_of=as_of)


def test_a_moment_without_an_offset_is_utc_and_versions_are_per_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
        lake.append("rights", run_id, any_rows("rights"))
    now = datetime.now(UTC).replace(tzinfo=None)
    counts = "SELECT (SELECT count(*) FROM publishers), (SELECT count(*) FROM rights)"
    for as_of, expected in {
        "publishers=0": (1, 2),
        " publishers=0 , rights=0 ": (1, 1),
        now.isoformat(): (2, 2),
        (now - timedelta(hours=1)).isoformat(): (0, 0),
        f"{(now + timedelta(hours=1)).isoformat()}+02:00": (0, 0),
    }.items():
        with open_tables(tmp_path, as_of=as_of) as connection:
            assert connection.execute(counts).fetchall() == [expected]
    with pytest.raises(LakeError, match="no table 'publisher'"):
        open_tables(tmp_path, as_of="publisher=1")


def test_a_table_that_another_program_compacted_is_read_by_its_files_own_columns(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
    DeltaTable(tmp_path / "publishers").optimize.compact()
    with open_tables(tmp_path) as connection:
        assert connection.execute("SELECT run_id FROM publishers ORDER BY 1").fetchall() == [("r1",), ("r2",)]
