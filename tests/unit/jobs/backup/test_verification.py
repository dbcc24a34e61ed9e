"""`tribute backup --check`: all damage shows before a backup is needed."""

from pathlib import Path

import pytest

from tests.unit.jobs.backup.small import quietly, small_project
from tests.unit.jobs.commanding import tribute


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small_project(tmp_path / "project")


@pytest.mark.parametrize("how", ["missing", "changed", "cut"])
def test_every_damaged_object_is_named_and_stored_again_once_it_is_deleted(
    path: Path, tmp_path: Path, how: str
) -> None:
    target = tmp_path / "backups"
    ids = [quietly(path, target).backup_id for _ in range(2)]
    whole = tribute("backup", "--check", target)
    assert whole.code == 0 and "2 backups, all whole" in whole.text
    damaged = sorted(each for each in (target / "objects").rglob("*") if each.is_file())[:3]
    for each in damaged:
        content = each.read_bytes()
        each.unlink() if how == "missing" else each.write_bytes(content[:-1] + (b"~" if how == "changed" else b""))
    found = tribute("backup", "--check", target)
    assert found.code == 1 and [each.name for each in damaged if each.name not in found.text] == []
    assert f"of {ids[-1]} and 1 more need it" in found.text and found.text.count(" need it") == 3
    for each in damaged:
        each.unlink(missing_ok=True)
    quietly(path, target)
    assert tribute("backup", "--check", target).code == 0


def test_a_damaged_manifest_is_named_and_the_others_are_read(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    first, second = (quietly(path, target).backup_id for _ in range(2))
    manifest = target / f"backups/{second}.json"
    manifest.write_bytes(manifest.read_bytes()[:-2])
    [thing, *_] = (target / "objects").rglob("??*/*")
    thing.write_bytes(b"")
    found = tribute("backup", "--check", target)
    assert found.code == 1 and f"{second}.json is not what was written" in found.text
    assert thing.name in found.text and f"of {first} need it" in found.text
    assert tribute("backup", "--list", target).code != 0, "a list that lacks a backup would mislead"


def test_what_does_not_go_together_and_an_empty_place_are_refused(path: Path, tmp_path: Path) -> None:
    assert tribute("backup", "--check", tmp_path / "empty").code == 2
    for wrong in (
        ("--check", path, tmp_path),
        ("--check", "--list", tmp_path),
        ("--check", "--keep", 1, tmp_path),
    ):
        assert tribute("backup", *wrong).code == 2
