"""A restored project is whole and where it was asked for, or not there at all."""

from pathlib import Path

import pytest

from tests.unit.jobs.backup.small import contents, quietly, restored, small_project, write
from tests.unit.jobs.commanding import tribute
from tribute.config import load_project
from tribute.errors import ConfigError, DamagedFile
from tribute_jobs.backup.target import Target


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small_project(tmp_path / "project")


def objects(target: Path) -> list[Path]:
    return sorted(path for path in (target / "objects").rglob("*") if path.is_file())


@pytest.mark.parametrize("how", ["missing", "changed", "cut"])
def test_every_damaged_object_is_named_and_nothing_is_half_restored(path: Path, tmp_path: Path, how: str) -> None:
    target = tmp_path / "backups"
    files = {file.sha256: file.path for file in quietly(path, target).manifest.files}
    damaged = objects(target)[:3]
    for each in damaged:
        content = each.read_bytes()
        each.unlink() if how == "missing" else each.write_bytes(content[:-1] + (b"~" if how == "changed" else b""))
    with pytest.raises(DamagedFile, match=r"has damaged files \(\d+\), and nothing was restored") as told:
        restored(target, tmp_path / "new" / "restored")
    assert [files[each.name] for each in damaged if files[each.name] not in str(told.value)] == []
    assert not any((tmp_path / "new").iterdir())
    assert f"tribute backup PROJECT.yaml {target}" in str(told.value)
    first = quietly(path, target).backup_id
    for each in damaged:
        each.unlink(missing_ok=True)
    assert quietly(path, target).backup_id != first
    for number, backup in enumerate((first, "")):
        restored(target, tmp_path / f"new {number}", *filter(None, [backup]))


def test_a_damaged_manifest_is_refused_and_an_older_backup_serves(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    first, second = (quietly(path, target).backup_id for _ in range(2))
    manifest = target / f"backups/{second}.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"corpus.jsonl", b"kerpus.jsonl"))
    with pytest.raises(DamagedFile, match=r"its SHA-256 differs\. Restore another backup"):
        restored(target, tmp_path / "restored")
    assert restored(target, tmp_path / "restored", first[:16]).backup_id == first


def test_a_manifest_of_a_later_format_is_refused(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    later = quietly(path, target).manifest.model_copy(update={"format": 2})
    Target(str(target)).add(later)
    with pytest.raises(ConfigError, match=r"written by a later version of tribute"):
        restored(target, tmp_path / "restored", later.backup_id())


def test_a_manifest_cannot_write_outside_the_folder(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    manifest = quietly(path, target).manifest
    evil = manifest.model_copy(update={"files": (manifest.files[0].model_copy(update={"path": "../out"}),)})
    with pytest.raises(DamagedFile, match=r"\.\./out: its path leads out of the folder"):
        restored(target, tmp_path / "restored", Target(str(target)).add(evil))
    assert not (tmp_path / "out").exists() and not (tmp_path / "restored").exists()


def test_a_folder_that_holds_something_is_left_alone(path: Path, tmp_path: Path) -> None:
    quietly(path, tmp_path / "backups")
    write(tmp_path / "full" / "file", b"")
    with pytest.raises(ConfigError, match=r"is there already\. Restore into a new folder, or an empty one"):
        restored(tmp_path / "backups", tmp_path / "full")
    (tmp_path / "empty").mkdir()
    assert restored(tmp_path / "backups", tmp_path / "empty").project_file.is_file()
    assert contents(tmp_path / "full") == {"file": b""}


def test_a_place_without_backups_says_how_to_make_one(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no backup\. Make one: tribute backup PROJECT\.yaml"):
        restored(tmp_path / "nothing", tmp_path / "restored")
    quietly(path, tmp_path / "backups")
    with pytest.raises(ConfigError, match=r"holds no backup whose id begins with 1999\. It holds: 2"):
        restored(tmp_path / "backups", tmp_path / "restored", "1999")


def test_what_lay_elsewhere_lies_in_the_folder_and_the_settings_say_so(tmp_path: Path) -> None:
    """The lake, the working folder, rights and usage were on other disks."""
    disk = tmp_path / "disk"
    path = small_project(tmp_path / "project", lake=str(disk / "lake"), workdir=str(disk / "work"))
    for name in ("sources.csv", "usage.jsonl"):
        write(disk / "month" / name, (path.parent / name).read_bytes())
        (path.parent / name).unlink()
    text = path.read_text().replace("path: usage.jsonl", f"path: [{disk}/month/*.jsonl]  # uses")
    path.write_text(text.replace("sources: sources.csv", f"sources: '{disk}/month/sources.csv'"))
    before = load_project(path)
    quietly(path, tmp_path / "backups")
    found = restored(tmp_path / "backups", tmp_path / "restored")
    after = load_project(found.project_file)
    assert {each.key for each in found.manifest.settings} == {
        "lake",
        "workdir",
        "queries.path.0",
        "rights.sources",
    }
    assert Path(after.lake_root) == tmp_path / "restored/tribute-data/lake"
    assert (
        after.rights.sources is not None
        and after.rights.sources.read_bytes() == (disk / "month/sources.csv").read_bytes()
    )
    assert list(tmp_path.glob("restored/elsewhere/queries.path.0/*.jsonl"))
    edited = found.project_file.read_text()
    assert edited.startswith("# Restored from a backup: workdir was ") and "# uses" in edited
    assert after.training == before.training and str(tmp_path / "disk") not in edited.partition("\ncluster")[2]


def test_the_commands_print_what_was_done_and_what_is_missing(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    made = tribute("backup", path, target)
    assert made.code == 0 and "were new; without the signing key" in made.text
    kept = tribute("backup", path, target, "--keep", 1)
    assert (
        kept.code == 0 and "1 older backups were deleted: 2" in kept.text and len(Target(str(target)).ids()) == 1
    )
    listed = tribute("backup", "--list", target)
    assert listed.code == 0 and "press" in listed.text
    back = tribute("restore", target, tmp_path / "restored")
    assert back.code == 0 and f"put it to {tmp_path}/restored/tribute-data/signing-key.pem" in back.text
    assert tribute("backup", target).code == 2
