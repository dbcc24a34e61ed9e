"""What the service keeps comes back from a backup: keys still work, and no use is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.jobs.backup.small import quietly, restored, small_project, write
from tribute.config import load_project
from tribute.errors import DamagedFile
from tribute_jobs.backup import creation
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.audit import AuditEntry
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.access.store import access_path

ENTRY = AuditEntry("k1", "ops", "operator", "GET", "/x", "/x", "p1", "2026-10", "", 200, "127.0.0.1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A project.yaml."""
    return small_project(tmp_path / "project")


def opened(path: Path) -> Access:
    """The keys of a project."""
    return open_access(load_project(path))


def test_keys_and_accesses_come_back_while_the_service_writes(path: Path, tmp_path: Path) -> None:
    access = opened(path)  # stays open: what was written last is in the log beside the file
    _, valid = access.keys.create("feed", Role.INGEST)
    gone, revoked = access.keys.create("old", Role.OPERATOR)
    access.keys.revoke(gone.prefix)
    access.audit.append(ENTRY)
    with closing(sqlite3.connect(access_path(load_project(path)), isolation_level=None)) as writer:
        writer.execute("begin immediate")
        writer.execute("delete from keys")
        quietly(path, tmp_path / "backups")
        writer.execute("rollback")
    found = restored(tmp_path / "backups", tmp_path / "restored")
    again = opened(found.project_file)
    assert again.keys.key_of(valid) == access.keys.key_of(valid) is not None
    assert again.keys.key_of(revoked) is None
    assert again.audit.listed() == access.audit.listed()


def test_only_the_owner_can_read_restored_keys(path: Path, tmp_path: Path) -> None:
    opened(path).keys.create("feed", Role.INGEST)
    quietly(path, tmp_path / "backups")
    file = access_path(load_project(restored(tmp_path / "backups", tmp_path / "restored").project_file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in file.parent.iterdir()) == ["access.sqlite"]


def test_the_service_s_databases_are_older_than_the_lake(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A use that leaves the outbox while the backup is made is in one of the two."""
    outbox = path.parent / "tribute-data/service/outbox-0.sqlite"
    outbox.parent.mkdir(parents=True)
    moment = creation.moment
    with closing(sqlite3.connect(outbox, isolation_level=None)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("create table uses (query_id text)")
        writer.execute("insert into uses values ('q1')")

        def flushed(*given: Any) -> Any:
            writer.execute("delete from uses")
            return moment(*given)

        monkeypatch.setattr(creation, "moment", flushed)
        quietly(path, tmp_path / "backups")
    restored(tmp_path / "backups", tmp_path / "restored")
    with closing(sqlite3.connect(tmp_path / "restored/tribute-data/service/outbox-0.sqlite")) as found:
        assert found.execute("select * from uses").fetchall() == [("q1",)]


def test_a_damaged_database_of_the_service_is_named(path: Path, tmp_path: Path) -> None:
    write(path.parent / "tribute-data/service/access.sqlite", b"no database at all" * 100)
    with pytest.raises(DamagedFile, match=r"access\.sqlite is no whole SQLite database: .*from an earlier backup"):
        quietly(path, tmp_path / "backups")
