import hashlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.unit.storage.hostile import READS, REFUSED, SECRET, Scene, attempt, scene
from tribute_storage import LakeError
from tribute_storage.publishing.opened import open_published, query_published
from tribute_storage.querying.sandbox import Limits


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scene(tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def file(stage: Scene) -> Path:
    path = stage.folder / "publisher-p1.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE publishers AS SELECT 'r1' AS run_id, 'p1' AS publisher_id, 'P1' AS name")
        connection.execute("CREATE TABLE rights AS SELECT 'p1' AS publisher_id")
        connection.execute("CREATE TABLE times AS SELECT TIMESTAMPTZ '2026-10-31 12:00:00+02' AS time")
        connection.execute("CREATE MACRO top_sources(query) AS TABLE SELECT query AS asked, name FROM publishers")
    return path


@pytest.fixture(scope="module")
def opened(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_published(file) as connection:
        yield connection


def test_what_was_published_is_read(file: Path) -> None:
    assert query_published(file, "SELECT publisher_id FROM publishers").to_pylist() == [{"publisher_id": "p1"}]
    found = query_published(file, "SELECT * FROM top_sources('q1'), (SELECT time::VARCHAR AS time FROM times)")
    assert found.to_pylist() == [{"asked": "q1", "name": "P1", "time": "2026-10-31 10:00:00+00"}]


@pytest.mark.parametrize("attack", REFUSED)
def test_everything_else_is_refused(attack: str, stage: Scene, opened: duckdb.DuckDBPyConnection) -> None:
    before = stage.files()
    sql, message = REFUSED[attack]
    with pytest.raises((LakeError, duckdb.Error), match=message) as told:
        attempt(opened, stage.statement(sql))
    assert SECRET not in str(told.value)
    assert stage.files() == before


@pytest.mark.parametrize("attack", REFUSED)
def test_the_connection_alone_changes_and_tells_nothing(
    attack: str, stage: Scene, file: Path, opened: duckdb.DuckDBPyConnection
) -> None:
    before = stage.files()
    if attack not in {"sleep", "sleep like postgres", "detach", "use", "transaction", "lone surrogate"}:
        try:
            opened.execute(stage.statement(REFUSED[attack][0]))
            told = str(opened.fetchall())
        except duckdb.Error as error:
            told = str(error)
        assert SECRET not in told
    assert stage.files() == before
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before[str(file)]


@pytest.mark.parametrize("attack", ["copy in with", "update", *list(READS)[::12]])
def test_refusals_come_through_the_child(attack: str, stage: Scene, file: Path) -> None:
    before = stage.files()
    with pytest.raises(LakeError, match=REFUSED[attack][1]) as told:
        query_published(file, stage.statement(REFUSED[attack][0]))
    assert SECRET not in str(told.value)
    assert stage.files() == before


def test_limits_hold(file: Path) -> None:
    with pytest.raises(LakeError, match="ran longer than 2 s"):
        query_published(file, "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))", Limits(seconds=2))


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no published file"):
        open_published(tmp_path / "none.duckdb")
    (tmp_path / "text.duckdb").write_text("no database")
    with pytest.raises(LakeError, match="cannot be opened as a DuckDB file"):
        query_published(tmp_path / "text.duckdb", "SELECT 1")
