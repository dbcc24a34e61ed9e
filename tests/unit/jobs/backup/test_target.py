"""Old backups are deleted, and what only they hold; nothing that another one needs."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.jobs.backup.small import quietly, restored, small_project, write
from tribute.errors import DamagedFile
from tribute_jobs.backup.target import Target

STATEMENT = "tribute-data/statements/2026-10-v1/p1.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small_project(tmp_path / "project")


def versions(path: Path, target: Path, count: int) -> list[str]:
    """Backups between which a statement changes."""
    made = []
    for number in range(count):
        write(path.parent / STATEMENT, f"version {number}".encode())
        made.append(quietly(path, target).backup_id)
    return made


def test_the_newest_backups_stay_whole_when_older_ones_go(path: Path, tmp_path: Path) -> None:
    made, target = versions(path, tmp_path / "backups", 4), Target(str(tmp_path / "backups"))
    before = set(target.objects)
    assert target.prune(2, timedelta()) == made[:2]
    after = Target(target.uri)
    assert after.ids() == made[2:] and len(before - after.objects.keys()) == 2
    for number in (2, 3):
        found = restored(target.uri, tmp_path / str(number), made[number])
        assert (found.project_file.parent / STATEMENT).read_text() == f"version {number}"


def test_objects_of_a_backup_that_is_being_made_stay(path: Path, tmp_path: Path) -> None:
    versions(path, tmp_path / "backups", 2)
    target = Target(str(tmp_path / "backups"))
    begun, before = target.put(b"of a backup without a manifest yet"), len(target.objects)
    target.prune(1)
    assert begun in Target(target.uri).objects and len(Target(target.uri).objects) == before


def test_a_backup_that_lost_objects_while_it_was_made_is_made_again(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine prunes what this one found in the target and counts on."""
    target, lost, calls = tmp_path / "backups", Target.lost, []
    quietly(path, target)

    def after_pruning(place: Target, manifest: object) -> bool:
        if not calls:
            (target / "objects" / manifest.files[0].sha256[:2] / manifest.files[0].sha256).unlink()
        calls.append(lost(place, manifest))
        return calls[-1]

    monkeypatch.setattr(Target, "lost", after_pruning)
    quietly(path, target)
    assert calls == [True, False]
    restored(target, tmp_path / "restored")


def test_nothing_is_deleted_where_a_manifest_that_stays_is_damaged(path: Path, tmp_path: Path) -> None:
    made, target = versions(path, tmp_path / "backups", 2), Target(str(tmp_path / "backups"))
    write(tmp_path / f"backups/backups/{made[1]}.json", b"{}")
    with pytest.raises(DamagedFile, match=r"is not what was written"):
        target.prune(1, timedelta())
    assert target.ids() == made
