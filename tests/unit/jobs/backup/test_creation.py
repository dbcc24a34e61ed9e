"""Backups are whole, of one moment, without the key; a second one stores only what is new."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.projects import write_project
from tests.unit.jobs.backup.small import COPY, add_artifact, contents, quietly, restored, small_project, write
from tests.unit.storage.rows import any_rows, publisher_rows
from tribute.config import load_project
from tribute.errors import BusyError, ConfigError, DamagedFile, MachineError
from tribute.files.digests import RememberedDigests, file_sha256
from tribute.files.sealed import write_sealed
from tribute_jobs.backup.creation import Store
from tribute_jobs.backup.items import Item, file_item
from tribute_jobs.backup.moment import _unreadable, moment
from tribute_jobs.backup.target import Target
from tribute_storage import Lake, open_tables
from tribute_storage.location import Location
from tribute_storage.upkeep.maintenance import checkpoint, compact, retain

KEY = "tribute-data/signing-key.pem"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small_project(tmp_path / "project")


def test_everything_but_the_key_comes_back_elsewhere(path: Path, tmp_path: Path) -> None:
    made = quietly(path, tmp_path / "backups")
    found = restored(tmp_path / "backups", tmp_path / "deep" / "er")
    before, after = contents(path.parent), contents(tmp_path / "deep" / "er")
    key = before.pop(KEY)
    assert after == before
    assert found.manifest.signing_key == KEY
    assert not any(key in content for content in contents(tmp_path / "backups").values())
    assert made.written >= sum(map(len, set(after.values())))


def test_artifacts_on_another_disk_are_reached_by_their_link(path: Path, tmp_path: Path) -> None:
    (path.parent / "tribute-data/artifacts").rename(tmp_path / "disk")
    (path.parent / "tribute-data/artifacts").symlink_to(tmp_path / "disk")
    write(tmp_path / "large/train-1/state", b"state")
    (tmp_path / "disk/train-1").symlink_to(tmp_path / "large/train-1")
    quietly(path, tmp_path / "backups")
    folder = restored(tmp_path / "backups", tmp_path / "restored").project_file.parent
    assert (folder / "tribute-data/artifacts/train-1/state").read_bytes() == b"state"
    assert (folder / "tribute-data" / COPY).is_file() and not (folder / "tribute-data/artifacts").is_symlink()


def test_a_folder_that_cannot_be_read_is_said() -> None:
    with pytest.raises(MachineError, match=r"/artifacts cannot be read: Permission denied"):
        _unreadable(PermissionError(errno.EACCES, "Permission denied", "/artifacts"))


def test_a_project_that_never_ran_is_backed_up(tmp_path: Path) -> None:
    path = write_project(tmp_path / "project")
    assert quietly(path, tmp_path / "backups").manifest.tables == {}
    restored(tmp_path / "backups", tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(path.parent)


def test_a_copy_of_the_key_under_another_name_is_left_out(path: Path, tmp_path: Path) -> None:
    key = (path.parent / KEY).read_bytes()
    write(path.parent / "tribute-data/statements/copied.pem", key)
    quietly(path, tmp_path / "backups")
    assert not any(key in content for content in contents(tmp_path / "backups").values())


def test_a_second_backup_writes_only_what_is_new(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    quietly(path, target)
    assert quietly(path, target).written == 0
    write(path.parent / "tribute-data/statements/2026-10-v2/p1.json", b"x" * 1000)
    assert quietly(path, target).written == 1000
    assert len(Target(str(target)).ids()) == 3


@pytest.mark.parametrize("part", [1000, 100])
def test_unchanged_files_are_recognised_and_not_read_again(path: Path, tmp_path: Path, part: int) -> None:
    place, file = Target(str(tmp_path / "backups")), tmp_path / "large"
    write(file, bytes(range(256)) * 2)
    digests = RememberedDigests(tmp_path / "digests.json", smallest=0, settled=-1)
    first, _ = Store(place, path, digests, None, part).add(file_item("large", file))
    digests.remember()
    assert first is not None and len(first.objects) == (1 if part == 1000 else 6)
    newest = quietly(path, place).manifest.model_copy(update={"files": (first,)})
    again = Store(place, path, RememberedDigests(tmp_path / "digests.json", smallest=0, settled=-1), newest, part)
    assert again.add(Item("large", lambda: pytest.fail("it was read"), file)) == (first, "")
    write(file, bytes(range(256)) * 2)
    with pytest.raises(pytest.fail.Exception):
        again.add(Item("large", lambda: pytest.fail("it was read"), file))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text("abé ü#'", min_size=1, max_size=8).filter(lambda name: name.strip() == name),
        st.binary(max_size=1500),
        max_size=4,
    )
)
def test_any_set_of_files_comes_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = small_project(folder / "project")
    for name, content in files.items():
        write(path.parent / "tribute-data/artifacts/any" / name, content)
    quietly(path, folder / "backups", part=512)
    restored(folder / "backups", folder / "restored")
    before = contents(path.parent)
    del before[KEY]
    assert contents(folder / "restored") == before


class Full(Location):
    """A place whose disk is full after some writes."""

    room = 0

    def write(self, name: str, content: bytes) -> None:
        if Full.room == 0:
            raise OSError(28, "No space left on device")
        Full.room -= 1
        super().write(name, content)


def test_interrupted_at_every_write_it_leaves_no_backup_and_its_objects_serve_the_next(
    path: Path, tmp_path: Path
) -> None:
    whole = Target(str(tmp_path / "whole"))
    quietly(path, whole)
    target, writes = tmp_path / "backups", len(whole.objects)
    for room in range(writes + 1):
        Full.room = 1  # one more than the time before
        place = Target(str(target))
        place._location = Full(place.uri)
        with pytest.raises(MachineError, match=r"backups cannot be written to: .*No space left"):
            quietly(path, place)
        assert Target(str(target)).ids() == []
        assert len(Target(str(target)).objects) == min(room + 1, writes)
        if room == writes - 1:
            break
    assert quietly(path, target).written == 0
    restored(target, tmp_path / "restored")
    assert contents(tmp_path / "restored").keys() == contents(path.parent).keys() - {KEY}


def links(root: str) -> tuple[list[str], list[str]]:
    """Runs of the table that refers, and runs of the one that it refers to."""
    with open_tables(root, "rights", "publishers") as lake:
        rights, publishers = (
            [run for (run,) in lake.execute(f"select distinct run_id from {table} order by 1").fetchall()]
            for table in ("rights", "publishers")
        )
    return rights, publishers


@pytest.mark.parametrize("reading", [0, 15, 16])
def test_a_backup_is_of_one_moment_whatever_commits_come_between_its_readings(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: int
) -> None:
    """A run commits what is referred to, then what refers to it, at one of the readings of a backup."""
    version, readings = Lake.version, iter(range(10_000))

    def commits_first(lake: Lake, table: str) -> int | None:
        number = next(readings)
        if number in (reading, reading + 1, 24 + reading):
            run_id = f"run-{number}"
            lake.append("publishers", run_id, publisher_rows(run_id, ["p"]))
            add_artifact(load_project(path), run_id, run_id.encode(), f"artifacts/{run_id}")
            lake.append("rights", run_id, any_rows("rights").set_column(0, "run_id", [[run_id]]))
        return version(lake, table)

    monkeypatch.setattr(Lake, "version", commits_first)
    quietly(path, tmp_path / "backups")
    monkeypatch.undo()
    found = load_project(restored(tmp_path / "backups", tmp_path / "restored").project_file)
    rights, publishers = links(found.lake_root)
    assert set(rights) <= set(publishers)
    assert {run for run in rights if not (found.workdir / "artifacts" / run).exists()} == set()


def test_a_project_that_keeps_changing_is_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, version, numbers = load_project(path), Lake.version, iter(range(10_000))

    def commits_first(lake: Lake, table: str) -> int | None:
        if table == "publishers":
            run_id = f"run-{next(numbers)}"
            lake.append("publishers", run_id, publisher_rows(run_id, ["p"]))
        return version(lake, table)

    monkeypatch.setattr(Lake, "version", commits_first)
    with pytest.raises(BusyError, match=r"kept changing for 0 s\. Run the same command again"):
        moment(project, Lake(project.lake_root), patience_s=0.05)


def test_older_versions_and_the_ids_of_transactions_live_on(path: Path, tmp_path: Path) -> None:
    project = load_project(path)
    lake = Lake(project.lake_root)
    compact(lake, "publishers")
    checkpoint(lake, "publishers")
    quietly(path, tmp_path / "backups")
    found = load_project(restored(tmp_path / "backups", tmp_path / "restored").project_file)
    again = Lake(found.lake_root)
    assert not again.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    assert again.version("publishers") == lake.version("publishers") == 2
    for version in range(3):
        assert len(again.files("publishers", version)) == len(lake.files("publishers", version))
    retain(lake, "publishers", 0, dry_run=False)
    quietly(path, tmp_path / "backups")
    last = load_project(restored(tmp_path / "backups", tmp_path / "last").project_file)
    assert Lake(last.lake_root).files("publishers")


def test_files_that_retention_deletes_meanwhile_are_taken_from_the_newer_version(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(load_project(path).lake_root)
    put, calls = Target.put, iter(range(10_000))

    def retained(target: Target, content: bytes) -> str:
        if next(calls) == 0:
            compact(lake, "publishers")
            retain(lake, "publishers", 0, dry_run=False)
        return put(target, content)

    monkeypatch.setattr(Target, "put", retained)
    made = quietly(path, tmp_path / "backups")
    assert made.manifest.tables["publishers"] == 2
    found = load_project(restored(tmp_path / "backups", tmp_path / "restored").project_file)
    with open_tables(found.lake_root, "publishers") as tables:
        assert tables.execute("select count(*) from publishers").fetchone() == (4,)


@pytest.mark.parametrize("log", ["gone", "cut"])
def test_a_table_whose_log_is_gone_or_cut_is_damage(path: Path, tmp_path: Path, log: str) -> None:
    tables = path.parent / "tribute-data/lake"
    for table in ("publishers", "settled_files"):
        commit = tables / table / "_delta_log" / f"{0:020}.json"
        commit.unlink() if log == "gone" else commit.write_bytes(commit.read_bytes()[:50])
    with pytest.raises(DamagedFile, match=r"has damaged files \(\d+\), and no backup was made") as told:
        quietly(path, tmp_path / "backups")
    assert "publishers/_delta_log" in str(told.value) and "settled_files/_delta_log" in str(told.value)
    assert Target(str(tmp_path / "backups")).ids() == []


@pytest.mark.parametrize("how", ["a flipped bit", "missing"])
def test_a_damaged_state_is_no_backup_and_every_damaged_file_is_named(
    path: Path, tmp_path: Path, how: str
) -> None:
    workdir = path.parent / "tribute-data"
    sealed, statement = workdir / "artifacts/train-1/step-1.safetensors", workdir / "statements/2026-10-v1/p1.json"
    write_sealed(sealed, b"state")
    write(statement.with_name("SHA256SUMS"), f"{file_sha256(statement)}  p1.json\n".encode())
    files = [sorted((workdir / "lake/publishers").glob("*.parquet"))[0], workdir / COPY]
    if how == "a flipped bit":  # of these, missing ones are written again
        files += [sealed, statement]
    for file in files:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 128
        file.unlink() if how == "missing" else file.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"and no backup was made\. Put them back from an earlier one") as told:
        quietly(path, tmp_path / "backups")
    assert [file.name for file in files if file.name not in str(told.value)] == []
    assert Target(str(tmp_path / "backups")).ids() == []


def test_backups_of_two_projects_and_of_the_target_itself_are_refused(path: Path, tmp_path: Path) -> None:
    quietly(path, tmp_path / "backups")
    other = small_project(tmp_path / "other", name="other")
    with pytest.raises(ConfigError, match=r"holds backups of project 'press', and this one is 'other'"):
        quietly(other, tmp_path / "backups")
    with pytest.raises(ConfigError, match=r"lies in .*tribute-data, which it is to back up"):
        quietly(path, path.parent / "tribute-data" / "backups")
    with pytest.raises(ConfigError, match=r"is no place for backups: .*Name a folder or s3://"):
        quietly(path, Target("nothing://somewhere"))


def test_mlflow_s_store_is_copied_while_it_is_written_and_finds_its_artifacts(path: Path, tmp_path: Path) -> None:
    workdir = path.parent / "tribute-data"
    old = (workdir / "mlflow").as_uri()
    with closing(sqlite3.connect(workdir / "mlflow.db")) as writer:
        for table, column in (("experiments", "artifact_location"), ("logged_models", "artifact_location")):
            writer.execute(f"create table {table} (name text, {column} text)")
        write(workdir / "mlflow/r/artifacts/report.json", b"{}")
        writer.execute("create table runs (artifact_uri text)")
        writer.execute("insert into experiments values ('tribute/valuation/press', ?)", [old])
        writer.execute("insert into runs values (?)", [f"{old}/r/artifacts"])
        writer.commit()
        writer.execute("insert into runs values ('not committed')")
        quietly(path, tmp_path / "backups")
    restored(tmp_path / "backups", tmp_path / "restored")
    with closing(sqlite3.connect(tmp_path / "restored/tribute-data/mlflow.db")) as store:
        found = store.execute("select artifact_uri from runs").fetchall()
    assert found == [((tmp_path / "restored/tribute-data/mlflow/r/artifacts").as_uri(),)]


def test_a_damaged_store_of_mlflow_is_named_and_one_without_tables_is_kept(path: Path, tmp_path: Path) -> None:
    store = path.parent / "tribute-data" / "mlflow.db"
    for damaged in (b"no database at all" * 100, b"SQLite format 3\0" + b"\x10\0" * 4000):
        write(store, damaged)
        with pytest.raises(DamagedFile, match=r"mlflow\.db is no whole SQLite database: .*move it away"):
            quietly(path, tmp_path / "backups")
    store.unlink()
    with closing(sqlite3.connect(store)) as writer:
        writer.execute("create table experiments (name text)")
    quietly(path, tmp_path / "backups")
    restored(tmp_path / "backups", tmp_path / "restored")
    assert (tmp_path / "restored/tribute-data/mlflow.db").read_bytes() == store.read_bytes()


def test_ids_are_in_the_order_of_backups_although_the_clock_went_back(path: Path, tmp_path: Path) -> None:
    target = Target(str(tmp_path / "backups"))
    made = [quietly(path, target).backup_id for _ in range(3)]
    assert target.ids() == made
