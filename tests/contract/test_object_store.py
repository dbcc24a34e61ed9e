"""A lake in an object store: SQL, concurrent commits, published files, usage events."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from tests.unit.storage.market import BETA, BOOK, commit, market, visible
from tests.unit.storage.rows import publisher_rows, varied_rows
from tribute_storage import Lake, LakeDamaged, Limits, damage, ingest, open_tables, publish, query
from tribute_storage.publishing.file import file_name
from tribute_storage.querying.sql import open_lake
from tribute_storage.querying.views import committed_files

COUNT = "SELECT count(*) AS n FROM "


@pytest.fixture
def lake(bucket: str, request: pytest.FixtureRequest) -> Lake:
    return Lake(f"{bucket}/{abs(hash(request.node.nodeid))}/lake")


def committed_rows(lake: Lake) -> list[tuple[str, str]]:
    with open_tables(lake.root) as connection:
        return connection.execute("SELECT run_id, publisher_id FROM publishers ORDER BY ALL").fetchall()


def test_anyones_sql_counts_and_sees_older_versions(lake: Lake) -> None:
    for run_id, names in (("r1", ["p1", "p2"]), ("r2", ["p3"])):
        lake.append("publishers", run_id, publisher_rows(run_id, names))
    assert query(lake.root, COUNT + "history.publishers").to_pylist() == [{"n": 3}]
    assert query(lake.root, COUNT + "history.publishers", as_of="publishers=0").to_pylist() == [{"n": 2}]
    assert query(lake.root, COUNT + "as_of('publishers', 0)").to_pylist() == [{"n": 2}]


def test_the_connection_alone_writes_no_object_and_reads_no_other(lake: Lake) -> None:
    lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    (file,), other = lake.files("publishers"), lake.stage("publishers", publisher_rows("r2", ["p2"])).path
    before = lake.location.files("")
    copy = f"COPY (SELECT 9) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)"
    with open_lake(lake.root, committed_files(lake.root), [], Limits()) as connection:
        for sql in (f"FROM read_parquet('{lake.root}/{other}')", f"FROM glob('{lake.root}/*')"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(sql)
        for sql in (copy, copy.replace("false", "true"), f"WITH x AS ({copy}) FROM x"):
            with pytest.raises(duckdb.Error, match=r"reading only|disabled by configuration"):
                connection.execute(sql)
    assert lake.location.files("") == before
    assert committed_rows(lake) == [("r1", "p1")]


def test_racing_commits_lose_and_double_nothing(lake: Lake) -> None:
    """Four writers, each with runs of its own and runs that all of them try, the first commit among them."""

    def work(writer: int) -> int:
        mine = Lake(lake.root)
        shared = [f"shared-{number}" for number in range(2)]
        own = [f"own-{writer}-{number}" for number in range(2)]
        return sum(mine.append("publishers", run, publisher_rows(run, ["p"])) for run in [*shared, *own])

    with ThreadPoolExecutor(4) as threads:
        won = sum(threads.map(work, range(4)))
    runs = [run_id for run_id, _ in committed_rows(lake)]
    assert len(runs) == len(set(runs)) == won == 2 + 4 * 2
    assert lake.version("publishers") == len(runs) - 1


def test_a_publisher_gets_its_file(lake: Lake, tmp_path: Path) -> None:
    rows = market(queries=1)
    tables = {name: rows[name] for name in ("publishers", "rights", "queries", "influence", "statement_lines")}
    commit(lake.root, tables)
    publish(lake.root, tmp_path, publishers=[BETA])
    with duckdb.connect(tmp_path / file_name(BETA), read_only=True) as file:
        for table, expected in visible(tables, BOOK, BETA).items():
            assert file.execute(f"SELECT count(*) FROM history.{table}").fetchall() == [(len(expected),)], table


def test_damage_is_named_and_a_log_that_is_gone_is_no_empty_table(lake: Lake) -> None:
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, [run_id]))
    first, second = (path.removeprefix(f"{lake.root}/") for path in lake.files("publishers"))
    content = lake.location.read(first)
    lake.location.write(first, content[:-1] + b"?")
    lake.location.delete(second)
    assert sorted(each.file for each in damage(lake, "publishers")) == sorted([first, second])
    with pytest.raises(LakeDamaged, match=f"{second} is missing"):
        committed_rows(lake)
    lake.location.delete(f"publishers/_delta_log/{1:020}.json")
    with pytest.raises(LakeDamaged, match="has lost its newest commits"):
        committed_rows(lake)
    lake.location.delete(f"publishers/_delta_log/{0:020}.json")
    with pytest.raises(LakeDamaged, match="_delta_log is gone or empty"):
        lake.committed("publishers", "r1")


def test_events_of_use_are_ingested_once(lake: Lake) -> None:
    events = varied_rows("usage_events", "sent", 3).drop_columns(["run_id", "period"])
    assert ingest(lake, events).batches == 1
    assert ingest(lake, events).duplicates == 3
    assert query(lake.root, COUNT + "usage").to_pylist() == [{"n": 3}]
