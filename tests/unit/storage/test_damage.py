"""Damage to the lake's own files is named by every reader, and is never an empty or a shorter table."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.storage.rows import publisher_rows, varied_rows
from tribute_storage import (
    Lake,
    LakeDamaged,
    LakeError,
    checkpoint,
    clear_orphans,
    compact,
    connect,
    damage,
    open_tables,
    orphans,
    publish,
    query,
    require_sound,
    retain,
)
from tribute_storage.integrity.register import marked

RUNS = ("r0", "r1", "r2", "r3")
LOG = Path("publishers", "_delta_log")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of four commits to one table, and of one to another."""
    lake = Lake(tmp_path_factory.mktemp("whole") / "lake")
    for run_id in RUNS:
        lake.append("publishers", run_id, publisher_rows(run_id, [run_id.upper()]))
    lake.append("influence", "r0", varied_rows("influence", "r0", 300))
    return Path(lake.root)


@pytest.fixture
def lake(whole: Path, tmp_path: Path) -> Lake:
    shutil.copytree(whole, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def commit_file(root: Path, version: int) -> Path:
    return root / LOG / f"{version:020}.json"


def data_file(root: Path, table: str = "publishers") -> Path:
    """The committed file of a table's newest run."""
    files = sorted((root / table).glob("*.parquet"), key=lambda path: str(pq.read_table(path)["run_id"][0]))
    return files[-1]


def cut(path: Path, size: int | None = None) -> None:
    os.truncate(path, path.stat().st_size // 2 if size is None else size)


def flip(path: Path, at: int = -200) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def overwrite(path: Path) -> None:
    """Bytes that no reader can take for pages, and the same size."""
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * (len(content) - 1000) + content[-996:])


def cut_after_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def with_checkpoint(root: Path) -> Path:
    checkpoint(Lake(root), "publishers")
    return next((root / LOG).glob("*.checkpoint.parquet"))


IN_LOG: dict[str, Callable[[Path], object]] = {
    "no log": lambda root: shutil.rmtree(root / LOG),
    "empty log": lambda root: [path.unlink() for path in (root / LOG).iterdir()],
    "no table": lambda root: shutil.rmtree(root / "publishers"),
    "log is a file": lambda root: (shutil.rmtree(root / LOG), (root / LOG).write_bytes(b"x")),
    "table is a file": lambda root: (shutil.rmtree(root / "publishers"), (root / "publishers").write_bytes(b"x")),
    "no version 0": lambda root: commit_file(root, 0).unlink(),
    "a gap": lambda root: commit_file(root, 1).unlink(),
    "newest lost": lambda root: commit_file(root, 3).unlink(),
    "0 bytes first": lambda root: cut(commit_file(root, 0), 0),
    "0 bytes between": lambda root: cut(commit_file(root, 1), 0),
    "0 bytes newest": lambda root: cut(commit_file(root, 3), 0),
    "cut": lambda root: cut(commit_file(root, 2)),
    "HTML": lambda root: commit_file(root, 2).write_bytes(b"<html>404</html>"),
    "not text": lambda root: commit_file(root, 2).write_bytes(bytes(range(128, 256))),
    "checkpoint cut": lambda root: cut(with_checkpoint(root)),
    "checkpoint gone": lambda root: with_checkpoint(root).unlink(),
    "checkpoint and version 0 gone": lambda root: (with_checkpoint(root).unlink(), commit_file(root, 0).unlink()),
    "no such checkpoint": lambda root: (root / LOG / "_last_checkpoint").write_text('{"version":9,"size":1}'),
    "another lake's table": lambda root: put_in_place(root, "publishers"),
    "a table of other columns": lambda root: put_in_place(root, "rights"),
}
IN_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda root: data_file(root).unlink(),
    "0 bytes": lambda root: cut(data_file(root), 0),
    "cut": lambda root: cut(data_file(root)),
    "HTML": lambda root: data_file(root).write_bytes(b"<html>404</html>"),
    "another table's": lambda root: shutil.copy(data_file(root, "influence"), data_file(root)),
}


def put_in_place(root: Path, table: str) -> None:
    other = Lake(root.with_name("other"))
    other.append(table, "r9", varied_rows(table, "r9"))
    shutil.rmtree(root / "publishers")
    shutil.move(Path(other.root) / table, root / "publishers")


def read(lake: Lake) -> list[tuple[str]]:
    with open_tables(lake.root, "publishers") as connection:
        return connection.execute("SELECT run_id FROM publishers ORDER BY ALL").fetchall()


READERS: dict[str, Callable[[Lake], object]] = {
    "open_tables": read,
    "connect": lambda lake: connect(lake.root),
    "files": lambda lake: lake.files("publishers"),
    "publish": lambda lake: publish(lake.root, Path(lake.root).with_name("published"), operator=True),
    "compact": lambda lake: compact(lake, "publishers"),
    "require_sound": require_sound,
}
OF_LOG: dict[str, Callable[[Lake], object]] = READERS | {
    "committed": lambda lake: lake.committed("publishers", "r0"),
    "append": lambda lake: lake.append("publishers", "new", publisher_rows("new", ["P"])),
    "checkpoint": lambda lake: checkpoint(lake, "publishers"),
    "retain": lambda lake: retain(lake, "publishers", 0, dry_run=False),
    "orphans": lambda lake: clear_orphans(lake, timedelta()),
}


def refused(reader: Callable[[Lake], object], lake: Lake) -> str:
    """The message of a refusal, which is one line and names the table and its place."""
    with pytest.raises(LakeDamaged) as error:
        reader(lake)
    message = str(error.value)
    assert message.startswith(f"Table publishers of {lake.root} ")
    assert "\n" not in message and "\x1b" not in message and len(message) < 900
    assert "Restore it from a backup" in message or "Delete " in message
    return message


@pytest.mark.parametrize("case", IN_LOG)
def test_a_damaged_log_is_refused_by_everybody_and_nothing_is_deleted(case: str, lake: Lake) -> None:
    IN_LOG[case](Path(lake.root))
    before = lake.location.files("")
    for reader in OF_LOG.values():
        refused(reader, lake)
    found = damage(lake)
    assert found and {each.table for each in found} == {"publishers"}
    assert lake.location.files("") == before


@pytest.mark.parametrize("case", IN_FILES)
def test_a_damaged_file_is_named_by_every_reader(case: str, lake: Lake) -> None:
    path = data_file(Path(lake.root))
    IN_FILES[case](Path(lake.root))
    for reader in READERS.values():
        assert f"publishers/{path.name} " in refused(reader, lake)
    assert [each.file for each in damage(lake)] == [f"publishers/{path.name}"]
    with pytest.raises(LakeDamaged, match=path.name):
        lake.files("publishers", 3)
    assert len(lake.files("publishers", 2)) == 3


def test_anyones_sql_names_a_damaged_file_and_a_log_that_is_gone(lake: Lake) -> None:
    assert query(lake.root, "SELECT count(*) AS n FROM history.publishers").to_pylist() == [{"n": 4}]
    overwrite(data_file(Path(lake.root), "influence"))
    with pytest.raises(LakeDamaged, match=r"Table influence of .* has other content than was written"):
        query(lake.root, "SELECT sum(influence_nats) FROM history.influence")
    shutil.rmtree(Path(lake.root) / LOG)
    with pytest.raises(LakeDamaged, match="_delta_log is gone or empty"):
        query(lake.root, "SELECT 1")


def test_a_mistake_in_sql_is_nobody_elses_fault(lake: Lake) -> None:
    with pytest.raises(LakeError, match="parquet") as error:
        query(lake.root, "SELECT error('parquet')")
    assert not isinstance(error.value, LakeDamaged)
    with pytest.raises(duckdb.BinderException), open_tables(lake.root, "publishers") as connection:
        connection.execute("SELECT nothing FROM publishers")


def test_a_flipped_bit_is_found_before_anything_rests_on_the_file(lake: Lake) -> None:
    path = data_file(Path(lake.root))
    for at in range(0, path.stat().st_size, 97):
        flip(path, at)
        [found] = damage(lake)
        assert (found.file, found.what[:35]) == (f"publishers/{path.name}", "has other content than was written:")
        flip(path, at)
    flip(path)
    assert read(lake)  # nothing in the file itself tells a reader
    for name in ("publish", "compact", "require_sound"):
        assert f"publishers/{path.name} has other content" in refused(READERS[name], lake)


def test_every_damaged_file_is_named_and_the_message_says_how_many(lake: Lake) -> None:
    root = Path(lake.root)
    for path in (root / "publishers").glob("*.parquet"):
        flip(path)
    flip(data_file(root, "influence"))
    assert len(damage(lake)) == 5
    assert len(damage(lake, "influence")) == 1
    with pytest.raises(LakeDamaged, match=r"4 more files are damaged; doctor names them all\.$"):
        require_sound(lake)


def test_a_commit_that_is_cut_between_two_lines_is_found(lake: Lake) -> None:
    cut_after_a_line(commit_file(Path(lake.root), 1))
    assert [each.what for each in damage(lake)] == ["is cut: actions at its end are missing"]


def test_a_commit_that_names_another_run_is_found(lake: Lake) -> None:
    """The run would be committed once more, and its rows would count twice."""
    path = commit_file(Path(lake.root), 1)
    path.write_bytes(path.read_bytes().replace(b'"appId":"r1"', b'"appId":"s1"'))
    [found] = damage(lake)
    assert found.what == "holds rows of run r1, the log says of run s1"


def test_a_commit_of_actions_that_do_not_fit_is_refused(lake: Lake) -> None:
    path = commit_file(Path(lake.root), 2)
    path.write_bytes(path.read_bytes().replace(b'"appId":"r2"', b'"appIe":"r2"'))
    refused(lambda lake: lake.committed("publishers", "r0"), lake)
    refused(lambda lake: lake.append("publishers", "r9", publisher_rows("r9", ["P"])), lake)
    assert damage(lake)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_commit_cut_anywhere_is_found(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("cut") / "lake"
    shutil.copytree(whole, root, ignore=shutil.ignore_patterns("influence"))
    path = commit_file(root, data.draw(st.integers(0, 3)))
    cut(path, data.draw(st.integers(0, path.stat().st_size - 1)))
    assert path.name in {Path(each.file).name for each in damage(Lake(root), "publishers")}


def test_what_was_never_committed_is_no_damage(tmp_path: Path) -> None:
    """A worker that was killed before its table's first commit leaves files for ever."""
    lake = Lake(tmp_path / "lake")
    lake.append("influence", "r0", varied_rows("influence", "r0"))
    staged = lake.stage("publishers", publisher_rows("r0", ["P"]))
    (tmp_path / "lake" / LOG).mkdir()
    (tmp_path / "lake" / LOG / f"{0:020}.json#1").write_bytes(b"{")  # what deltalake had not finished
    assert (read(lake), damage(lake)) == ([], [])
    assert staged.path in {path.removeprefix(f"{lake.root}/") for path in orphans(lake)}
    assert lake.append("publishers", "r0", publisher_rows("r0", ["P"]))
    assert read(lake) == [("r0",)]


def test_a_commit_whose_mark_was_not_written_is_marked_later(lake: Lake) -> None:
    """A kill between the two leaves no mark, and no lake of an earlier release has one."""
    shutil.rmtree(Path(lake.root) / "_tables")
    assert read(lake) == [(run,) for run in RUNS]
    require_sound(lake)
    marks = {table: marked(lake.location, table) for table in ("publishers", "influence", "rights")}
    assert [mark and mark.version for mark in marks.values()] == [3, 0, None]
    shutil.rmtree(Path(lake.root) / LOG)
    refused(read, lake)


@pytest.mark.parametrize("content", [b"", b"?", b"99", b"\xff\xfe"])
def test_a_mark_that_cannot_be_read_still_says_that_there_was_a_table(content: bytes, lake: Lake) -> None:
    (Path(lake.root) / "_tables" / "publishers").write_bytes(content)
    assert read(lake) == [(run,) for run in RUNS]
    shutil.rmtree(Path(lake.root) / LOG)
    refused(read, lake)


def test_the_remedy_of_lost_commits_leads_to_a_table_that_can_be_read(lake: Lake) -> None:
    commit_file(Path(lake.root), 3).unlink()
    assert "To go on without them, delete _tables/publishers: what they held is lost" in refused(read, lake)
    (Path(lake.root) / "_tables" / "publishers").unlink()
    assert read(lake) == [(run,) for run in RUNS[:3]]
    assert lake.append("publishers", "r3", publisher_rows("r3", ["R3"]))
    assert damage(lake) == []


def test_the_remedy_of_a_commit_that_a_power_cut_emptied_leads_to_the_same_table(lake: Lake) -> None:
    cut(commit_file(Path(lake.root), 3), 0)
    assert "as after a power cut, delete it and _tables/publishers" in refused(read, lake)
    commit_file(Path(lake.root), 3).unlink()
    (Path(lake.root) / "_tables" / "publishers").unlink()
    assert lake.append("publishers", "r3", publisher_rows("r3", ["R3"]))
    assert (read(lake), damage(lake)) == ([(run,) for run in RUNS], [])


@pytest.mark.parametrize("case", ["checkpoint cut", "checkpoint gone", "no such checkpoint"])
def test_the_remedy_of_a_damaged_checkpoint_leads_to_the_same_table(case: str, lake: Lake) -> None:
    IN_LOG[case](Path(lake.root))
    assert "the commits hold the same" in refused(read, lake)
    for path in (
        *(Path(lake.root) / LOG).glob("*.checkpoint.parquet"),
        Path(lake.root) / LOG / "_last_checkpoint",
    ):
        path.unlink(missing_ok=True)
    assert (read(lake), damage(lake)) == ([(run,) for run in RUNS], [])
