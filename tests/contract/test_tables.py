"""The contract of every table of the lake, in a folder and in an object store."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.storage.rows import any_rows, bag, varied_rows
from tribute_storage import SCHEMAS, Lake, LakeError, connect, open_tables
from tribute_storage.querying.current import current_columns
from tribute_storage.querying.views import document
from tribute_storage.schemas import doc_of, order_of, tile_of, version_of
from tribute_storage.upkeep.maintenance import checkpoint, clear_orphans, compact, orphans, retain

RUNS = ("r1", "r2", "r3")
QUICK = ("influence", "valuations", "projects")
"""Tables that quick tests commit to: one in tiles, the one with most columns, and the one with fewest."""


def rows_of(connection: duckdb.DuckDBPyConnection, relation: str) -> pa.Table:
    return connection.sql(f"SELECT * FROM {relation}").to_arrow_table()


def read(lake: Lake, table: str, as_of: str | None = None) -> pa.Table:
    with open_tables(lake.root, table, as_of=as_of) as connection:
        return rows_of(connection, table)


def files(lake: Lake, table: str) -> list[pq.ParquetFile]:
    names = [path.removeprefix(f"{lake.root}/") for path in lake.files(table)]
    return [pq.ParquetFile(pa.BufferReader(lake.location.read(name))) for name in names]


def filled(lake: Lake, table: str) -> list[pa.Table]:
    """A run of two files, then two runs of one; what each run holds."""
    runs = [varied_rows(table, run_id) for run_id in RUNS]
    halves = [lake.stage(table, half) for half in (runs[0].slice(0, 20), runs[0].slice(20))]
    assert lake.commit(table, RUNS[0], halves)
    for run_id, rows in zip(RUNS[1:], runs[1:], strict=True):
        assert lake.append(table, run_id, rows)
    return runs


def require_versions(lake: Lake, table: str, runs: list[pa.Table]) -> None:
    """Every version that a run made holds the runs until then, whichever way it is asked for."""
    with open_tables(lake.root, table) as now:
        assert bag(rows_of(now, table)) == bag(*runs)
        for number in range(len(runs)):
            expected = bag(*runs[: number + 1])
            assert bag(rows_of(now, f"as_of('{table}', {number})")) == expected
            assert bag(read(lake, table, f"{table}={number}")) == expected


def test_every_column_is_documented_where_sql_is_written(tmp_path: Path) -> None:
    sql = (
        "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
        "ORDER BY column_index"
    )
    with connect(tmp_path) as connection:
        document(connection)
        for table in SCHEMAS:
            found = connection.execute(sql, ["history", table]).fetchall()
            assert found == [(field.name, doc_of(field)) for field in SCHEMAS[table]]
            assert all(doc for _, doc in found)
            current = connection.execute(sql, ["main", table]).fetchall()
            assert current == [(column.name, column.doc) for column in current_columns(table)]


class SchemaContract:
    """What hangs on the columns of a table. A class per kind of store says where a lake lies, and which tables."""

    def test_rows_survive_bit_for_bit_in_the_tables_order(self, lake: Lake, table: str) -> None:
        rows = varied_rows(table, "r1", 200)
        lake.append(table, "r1", rows)
        (file,) = files(lake, table)
        assert bag(file.read()) == bag(read(lake, table)) == bag(rows)
        ranks = {name: sorted({row[name] for row in rows.to_pylist()}) for name in tile_of(table)}
        keys = [
            [ranks[name].index(row[name]) // width for name, width in tile_of(table).items()]
            + [(row[name] is None, row[name]) for name in order_of(table)]
            for row in file.read().to_pylist()
        ]
        assert keys == sorted(keys)

    def test_a_file_says_its_version_and_is_encoded_for_skipping(self, lake: Lake, table: str) -> None:
        lake.append(table, "r1", varied_rows(table, "r1", 200))
        (file,) = files(lake, table)
        assert file.schema_arrow.metadata[b"version"] == str(version_of(table)).encode()
        group = file.metadata.row_group(0)
        for chunk in map(group.column, range(group.num_columns)):
            assert chunk.compression == "ZSTD"
            expected = {
                "BYTE_ARRAY": "RLE_DICTIONARY",
                "FLOAT": "BYTE_STREAM_SPLIT",
                "DOUBLE": "BYTE_STREAM_SPLIT",
            }
            assert expected.get(chunk.physical_type, "RLE") in chunk.encodings
            assert chunk.is_stats_set

    def test_rows_that_do_not_fit_are_refused_and_leave_nothing(self, lake: Lake, table: str) -> None:
        rows = any_rows(table, 2)
        for place, field in enumerate(SCHEMAS[table]):
            other = pa.array([b"1", b"2"])
            refused = {
                f"missing: {field.name}": rows.drop_columns([field.name]),
                f"{field.name} is binary, expected {field.type}": rows.set_column(place, field.name, other),
            }
            if not field.nullable:
                empty = pa.nulls(2, field.type)
                refused[f"{field.name} is empty in 2 of 2"] = rows.set_column(place, field.name, empty)
            for message, wrong in refused.items():
                with pytest.raises(LakeError) as error:
                    lake.append(table, "r1", wrong)
                assert message in str(error.value)
        with pytest.raises(LakeError, match="unknown: extra"):
            lake.append(table, "r1", rows.append_column("extra", rows["run_id"]))
        assert lake.location.files("") == []


class CommitContract:
    """What commits and upkeep do, whatever the columns of the table are."""

    def test_a_run_is_committed_once_and_what_is_staged_is_invisible(self, lake: Lake, table: str) -> None:
        rows = varied_rows(table, "r1")
        staged = [lake.stage(table, half) for half in (rows.slice(0, 9), rows.slice(9))]
        assert (read(lake, table).num_rows, lake.version(table)) == (0, None)
        assert lake.commit(table, "r1", staged)
        assert not lake.commit(table, "r1", staged)
        assert not lake.append(table, "r1", rows)
        late = lake.stage(table, varied_rows(table, "r2"))
        assert (bag(read(lake, table)), lake.version(table)) == (bag(rows), 0)
        assert (lake.committed(table, "r1"), lake.committed(table, "r2")) == (True, False)
        assert orphans(lake) == [lake.location.path(late.path)]

    def test_an_older_version_and_an_earlier_moment_give_the_old_rows(self, lake: Lake, table: str) -> None:
        before = datetime.now(UTC)
        time.sleep(0.002)
        first = varied_rows(table, "r1")
        lake.append(table, "r1", first)
        time.sleep(0.002)
        between = datetime.now(UTC)
        time.sleep(0.002)
        second = varied_rows(table, "r2")
        lake.append(table, "r2", second)
        require_versions(lake, table, [first, second])
        found = [bag(read(lake, table, at.isoformat())) for at in (before, between, datetime.now(UTC))]
        assert found == [bag(), bag(first), bag(first, second)]
        with pytest.raises(LakeError, match=f"Table {table} of .* cannot be read of version 7"):
            read(lake, table, f"{table}=7")

    def test_compaction_and_checkpoints_change_no_version(self, lake: Lake, table: str) -> None:
        runs = filled(lake, table)
        assert checkpoint(lake, table) == 2
        require_versions(lake, table, runs)
        assert compact(lake, table) == (4, 1)
        assert compact(lake, table) == (1, 1)
        require_versions(lake, table, runs)
        assert (checkpoint(lake, table), orphans(lake)) == (3, [])
        require_versions(lake, table, runs)
        assert not lake.append(table, "r1", runs[0])

    def test_retention_deletes_only_what_compaction_replaced(self, lake: Lake, table: str) -> None:
        runs = filled(lake, table)
        assert retain(lake, table, 0, dry_run=False) == []
        replaced = set(lake.files(table))
        compact(lake, table)
        staged = lake.stage(table, runs[0])
        assert retain(lake, table, 1, dry_run=False) == []
        assert set(retain(lake, table, 0, dry_run=True)) == replaced
        require_versions(lake, table, runs)
        assert set(retain(lake, table, 0, dry_run=False)) == replaced
        assert retain(lake, table, 0, dry_run=False) == []
        assert lake.version(table) == 3
        assert bag(read(lake, table)) == bag(read(lake, table, f"{table}=3")) == bag(*runs)
        assert lake.location.info(staged.path) is not None
        with pytest.raises(LakeError, match="4 of its 4 files were deleted since"):
            read(lake, table, f"{table}=2")

    def test_orphans_are_found_and_cleared_and_committed_files_never_are(self, lake: Lake, table: str) -> None:
        runs = filled(lake, table)
        compact(lake, table)
        lost = sorted(lake.location.path(lake.stage(table, rows).path) for rows in runs[:2])
        assert orphans(lake) == lost
        assert orphans(lake, timedelta(hours=1)) == clear_orphans(lake, timedelta(hours=1)) == []
        assert clear_orphans(lake, timedelta()) == lost
        assert orphans(lake) == []
        require_versions(lake, table, runs)


class InFolder:
    @pytest.fixture
    def lake(self, tmp_path: Path) -> Lake:
        return Lake(tmp_path / "lake")


class TestSchemasInFolder(InFolder, SchemaContract):
    @pytest.fixture(params=SCHEMAS)
    def table(self, request: pytest.FixtureRequest) -> str:
        return request.param


class TestCommitsInFolder(InFolder, CommitContract):
    @pytest.fixture(
        params=[pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in SCHEMAS]
    )
    def table(self, request: pytest.FixtureRequest) -> str:
        return request.param


class TestObjectStore(SchemaContract, CommitContract):
    @pytest.fixture(params=["influence"])
    def table(self, request: pytest.FixtureRequest) -> str:
        return request.param

    @pytest.fixture
    def lake(self, bucket: str, request: pytest.FixtureRequest) -> Lake:
        return Lake(f"{bucket}/{abs(hash(request.node.nodeid))}/lake")
