import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.unit.storage.market import (
    ALPHA,
    BETA,
    BOOK,
    FORBIDDEN,
    GAMMA,
    OCTOBER,
    PERIODS,
    Row,
    commit,
    market,
    visible,
)
from tribute_storage import SCHEMAS, LakeError, connect, open_tables
from tribute_storage.publishing.file import file_name
from tribute_storage.publishing.publish import publish
from tribute_storage.publishing.rules import RULES
from tribute_storage.querying.macros import MACROS, VIEWS
from tribute_storage.querying.views import open_files
from tribute_storage.schemas import version_of

LOCKED: dict[str, Any] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "lock_configuration": True,
}
CATALOGUE = ("duckdb_tables()", "duckdb_columns()", "duckdb_functions()", "duckdb_views()", "duckdb_constraints()")


@pytest.fixture(scope="module")
def folder(lake: Path) -> Path:
    publish(lake, lake.parent / "published")
    return lake.parent / "published"


def opened(folder: Path, publisher: str | None) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(folder / file_name(publisher), read_only=True, config=LOCKED)


def contents(folder: Path, publisher: str | None) -> dict[str, list[Row]]:
    with opened(folder, publisher) as connection:
        return {table: connection.sql(f"FROM history.{table}").to_arrow_table().to_pylist() for table in SCHEMAS}


def counted(rows: list[Row]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(f"{name}={each[name]}" for name in sorted(each)) for each in rows)


def original_ids(folder: Path) -> dict[str, str]:
    with opened(folder, None) as connection:
        return dict(connection.execute("SELECT published_id, query_id FROM published_queries").fetchall())


def check_rows(folder: Path, book: Any, tables: Any, publisher: str, period: str | None = None) -> None:
    originals, found = original_ids(folder), contents(folder, publisher)
    for table, rows in visible(tables, book, publisher, period).items():
        if table in ("influence", "queries"):
            found[table] = [each | {"query_id": originals[each["query_id"]]} for each in found[table]]
        assert counted(found[table]) == counted(rows), table


def test_every_table_has_a_rule_that_was_written_for_its_newest_version() -> None:
    assert {table: rule.examined for table, rule in RULES.items()} == {t: version_of(t) for t in SCHEMAS}
    for table, rule in RULES.items():
        assert rule.reason and set(rule.columns) <= set(SCHEMAS[table].names)


@pytest.mark.parametrize(
    "period", [None, PERIODS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in PERIODS[1:])]
)
def test_a_publisher_gets_exactly_its_rows(lake: Path, tmp_path: Path, period: str | None) -> None:
    publish(lake, tmp_path, period=period)
    for publisher in (ALPHA, BETA, GAMMA):
        check_rows(tmp_path, BOOK, market(), publisher, period)


def test_the_operator_gets_everything(folder: Path) -> None:
    expected, found = market(), contents(folder, None)
    for table in SCHEMAS:
        assert counted(found[table]) == counted(expected[table]), table
    with opened(folder, None) as connection:
        uses = {each["query_id"] for each in expected["usage_events"]}
        assert connection.execute("SELECT count(*) FROM usage").fetchall() == [(len(uses),)]


def test_the_operator_gets_a_month(lake: Path, tmp_path: Path) -> None:
    [path] = publish(lake, tmp_path, publishers=[], period="2026-09")
    assert path.name == "operator.duckdb"
    found, ninth = contents(tmp_path, None), ("attribute-09", "service")
    for table, rows in market().items():
        expected = [each for each in rows if each.get("period", "2026-09") == "2026-09"]
        if table == "influence":
            expected = [each for each in expected if "/2026-09/" in each["query_id"]]
        if table in ("predicted", "estimates"):
            expected = [each for each in expected if each["run_id"] in ninth]
        assert counted(found[table]) == counted(expected), table


@pytest.mark.parametrize("compression", ["auto", "uncompressed"])
def test_no_byte_of_a_file_is_anybody_elses(
    lake: Path, tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw bytes, with everybody's rows in the process's memory; the operator's show that marks are found."""

    def connected(*arguments: Any) -> duckdb.DuckDBPyConnection:
        connection = open_files(*arguments)
        connection.execute(f"SET force_compression = '{compression}'")
        return connection

    monkeypatch.setattr(sys.modules["tribute_storage.publishing.publish"], "open_files", connected)
    publish(lake, tmp_path)
    if compression == "uncompressed":
        content = (tmp_path / file_name(None)).read_bytes().lower()
        assert all(mark.encode() in content for marks in FORBIDDEN.values() for mark in marks)
    for publisher, marks in FORBIDDEN.items():
        content = (tmp_path / file_name(publisher)).read_bytes().lower()
        assert [mark for mark in marks if mark.encode() in content] == []
        assert compression == "auto" or b"q-1 title" in content


@pytest.mark.parametrize("publisher", FORBIDDEN)
def test_no_value_or_definition_of_a_file_is_anybody_elses(folder: Path, publisher: str) -> None:
    with opened(folder, publisher) as connection:
        tables = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        whole = [name for (name,) in tables]
        assert sorted(whole) == sorted([*(f"history.{table}" for table in SCHEMAS), "main.runs"])
        relations = [*whole, *SCHEMAS, *CATALOGUE]
        texts = [repr(connection.execute(f"FROM {relation}").fetchall()).lower() for relation in relations]
    for relation, text in zip(relations, texts, strict=True):
        # The catalogue names the file, and with it the publisher itself.
        assert [mark for mark in FORBIDDEN[publisher] if mark in text] == [], relation


@pytest.mark.parametrize("publisher", FORBIDDEN)
def test_macros_answer_as_in_the_lake(lake: Path, folder: Path, publisher: str) -> None:
    seen = visible(market(), BOOK, publisher)
    mine = {each["source_id"] for each in seen["influence"] if "/2026-10/" in each["query_id"]}
    with connect(lake) as whole, opened(folder, publisher) as file:
        for published, query in original_ids(folder).items():
            if query.startswith("JOINTQ/2026-10"):
                expected = whole.execute(f"FROM top_sources('{query}') ORDER BY source_id").fetchall()
                found = file.execute(f"FROM top_sources('{published}') ORDER BY source_id").fetchall()
                assert found and [each for each in expected if each[0] in mine] == found
        valued = "FROM publisher_value('2026-10') WHERE publisher_id = ?"
        assert (
            whole.execute(valued, [publisher]).fetchall()
            == file.execute("FROM publisher_value('2026-10')").fetchall()
        )
        lines = "FROM statement_lines(?, '2026-10')"
        assert whole.execute(lines, [publisher]).fetchall() == file.execute(lines, [publisher]).fetchall() != []


def test_runs_are_those_of_the_files_rows_at_the_time_of_their_commits(lake: Path, folder: Path) -> None:
    with open_tables(lake) as whole, opened(folder, GAMMA) as file:
        times = set(whole.execute("FROM runs").fetchall())
        found = file.execute("FROM runs").fetchall()
    assert set(found) <= times
    expected = {
        (table, each["run_id"])
        for table, rows in visible(market(), BOOK, GAMMA).items()
        for each in rows
        if table != "influence"
    }
    assert {each[:2] for each in found} == expected and len(found) == len(expected)


def test_comments_say_what_a_table_means_and_what_is_shown(folder: Path) -> None:
    with opened(folder, ALPHA) as connection:
        tables = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        views = dict(
            connection.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall()
        )
        columns = connection.execute(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'queries' AND column_name = 'customer_id'"
        ).fetchall()
        macros = connection.execute("SELECT function_name FROM duckdb_functions() WHERE NOT internal").fetchall()
        empty = connection.execute("SELECT count(*) FROM duckdb_columns() WHERE comment IS NULL AND NOT internal "
                                   "AND table_name <> 'runs'").fetchall()  # fmt: skip
    assert tables["rights"].startswith("Who is paid for a source")
    assert views["rights"].startswith("Who is paid for a source")
    assert all("the publisher's own rights" in found["rights"] for found in (tables, views))
    assert tables["runs"] == VIEWS["runs"]
    assert len(columns) == 2
    for (column,) in columns:
        assert column.startswith("who asked") and column.endswith("empty: customers are the operator's")
    assert {name for (name,) in macros} == {macro.name for macro in MACROS}
    assert empty == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM rights",
        "CREATE TABLE more (a INTEGER)",
        "ATTACH 'operator.duckdb' AS other",
        "COPY rights TO 'rights.csv'",
        "FROM read_csv('/etc/hostname')",
        "FROM read_parquet('lake/*/*.parquet')",
        "SET enable_external_access = true",
        "SET memory_limit = '8GiB'",
        "INSTALL httpfs",
    ],
)
def test_a_file_opens_locked_and_stays_so(folder: Path, statement: str) -> None:
    with opened(folder, ALPHA) as connection:
        assert connection.execute("SELECT count(*) FROM rights").fetchall() == [(3,)]
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_files_are_read_only_and_nothing_else_is_left(folder: Path) -> None:
    shown = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    assert shown == sorted(map(file_name, [None, ALPHA, BETA, GAMMA]))
    assert {(folder / name).stat().st_mode & 0o777 for name in shown} == {0o400, 0o444}
    assert not (folder / ".publishing").exists()
    assert not [path for path in folder.rglob("*") if path.suffix == ".wal"]


def test_publishing_again_replaces_the_files_by_equal_ones(lake: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    [path] = publish(lake, tmp_path, publishers=[ALPHA], operator=False, advanced=lambda *step: seen.append(step))
    assert seen == [(done, len(SCHEMAS)) for done in range(1, len(SCHEMAS) + 1)]
    first, inode = contents(tmp_path, ALPHA), path.stat().st_ino
    with opened(tmp_path, ALPHA) as reading:
        assert publish(lake, tmp_path, publishers=[ALPHA, ALPHA], operator=False) == [path]
        assert reading.execute("SELECT count(*) FROM rights").fetchall() == [(3,)]
    assert contents(tmp_path, ALPHA) == first and path.stat().st_ino != inode


@pytest.mark.parametrize("kill_at", [pytest.param(1, marks=pytest.mark.slow), len(SCHEMAS) + 3])
def test_a_killed_publishing_leaves_the_old_files(lake: Path, tmp_path: Path, kill_at: int) -> None:
    publish(lake, tmp_path, publishers=[ALPHA])
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.duckdb")}
    code = (
        "import os, signal; from pathlib import Path; from tribute_storage import publish; "
        f"publish({str(lake)!r}, Path({str(tmp_path)!r}), "
        f"advanced=lambda done, total: done == {kill_at} and os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    after = {path.name: path.read_bytes() for path in tmp_path.glob("*.duckdb")}
    assert after.keys() == before.keys()
    assert after[file_name(ALPHA)] == before[file_name(ALPHA)]
    assert list((tmp_path / ".publishing").iterdir())
    check_rows(tmp_path, BOOK, market(), ALPHA)
    publish(lake, tmp_path)
    assert not (tmp_path / ".publishing").exists()
    check_rows(tmp_path, BOOK, market(), BETA)


def test_one_publishing_at_a_time(lake: Path, tmp_path: Path) -> None:
    def again(done: int, _total: int) -> None:
        if done == 2:
            with pytest.raises(LakeError, match="Another tribute publish is writing"):
                publish(lake, tmp_path, publishers=[])

    publish(lake, tmp_path, publishers=[], advanced=again)
    assert contents(tmp_path, None)["rights"]


def test_what_is_asked_for_must_be_there(lake: Path, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"no publisher 'nobody'; it knows: Betaq & Sons / EU, alphaq, gammaq\."):
        publish(lake, tmp_path, publishers=[ALPHA, "nobody"])
    with pytest.raises(LakeError) as raised:
        publish(lake, tmp_path, publishers=[f"{'n' * 500}{number}" for number in range(100)])
    assert len(str(raised.value)) < 2500 and "n" * 81 not in str(raised.value)
    with pytest.raises(LakeError, match=r"no rows of period '2027-01'; it has: 2026-09, 2026-10\."):
        publish(lake, tmp_path, period="2027-01")
    with pytest.raises(LakeError, match="no publisher is named"):
        publish(lake, tmp_path, publishers=[], operator=False)
    with pytest.raises(LakeError, match=r"Nothing to publish: the lake .* has no rows"):
        publish(tmp_path / "nowhere", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(LakeError, match="Could not publish"):
        publish(lake, tmp_path / "file")
    assert not list(tmp_path.glob("*.duckdb"))


def test_pseudonyms_differ_between_lakes_and_stay_in_one(lake: Path, folder: Path, tmp_path: Path) -> None:
    commit(tmp_path / "lake", market())
    publish(tmp_path / "lake", tmp_path / "out")
    assert not original_ids(folder).keys() & original_ids(tmp_path / "out").keys()
    assert set(original_ids(folder).values()) == set(original_ids(tmp_path / "out").values())
    publish(lake, tmp_path / "again", publishers=[])
    assert original_ids(tmp_path / "again") == original_ids(folder)


IDS = st.one_of(st.text(min_size=1, max_size=130), st.from_regex(r"\A[a-zA-Z0-9._/ -]{1,8}\Z"))


@settings(max_examples=50, deadline=None)
@given(st.lists(IDS, min_size=2, max_size=6, unique=True))
def test_no_two_publishers_share_a_file(ids: list[str]) -> None:
    names = [file_name(publisher) for publisher in [None, *ids]]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name.isascii() and len(name) < 222 and not set(name) & set('/\\:*?"<>|') for name in names)
    assert file_name("acme.com") == "publisher-acme.com.duckdb"


DAYS = st.none() | st.dates(date(2026, 8, 20), date(2026, 11, 10))
RIGHTS = st.tuples(
    st.sampled_from(["one", "two", "three", "four"]), st.sampled_from([ALPHA, BETA, GAMMA]), DAYS, DAYS
)


@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # to shrink a lake takes minutes
)
@example([("one", ALPHA, OCTOBER, OCTOBER)], None)
@given(st.lists(RIGHTS, min_size=1, max_size=8), st.sampled_from([None, *PERIODS]))
def test_no_row_is_anothers_whatever_the_rights(book: list[Any], period: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, tables = Path(name, "lake"), market(book, queries=1)
        commit(root, tables)
        publish(root, Path(name), period=period)
        for publisher in (ALPHA, BETA, GAMMA):
            check_rows(Path(name), book, tables, publisher, period)


def test_publishers_files_are_for_everybody_to_read_and_the_operators_for_nobody_else(
    lake: Path, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        operator, *others = publish(lake, tmp_path, publishers=[ALPHA], operator=True)
    finally:
        os.umask(before)
    assert operator.stat().st_mode & 0o777 == 0o400
    assert [path.stat().st_mode & 0o777 for path in others] == [0o444]
