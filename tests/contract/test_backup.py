"""Backups in an object store, of a lake in an object store."""

from pathlib import Path

import pytest

from tests.unit.jobs.backup.small import contents, quietly, restored, small_project
from tests.unit.storage.rows import publisher_rows
from tribute.config import load_project
from tribute.errors import DamagedFile
from tribute_jobs.backup.target import Target
from tribute_storage import Lake, query


def test_a_lake_in_a_bucket_comes_back_in_a_folder(bucket: str, tmp_path: Path) -> None:
    path = small_project(tmp_path / "project", lake=f"{bucket}/lake")
    target = Target(f"{bucket}/backups")
    made = quietly(path, target)
    assert quietly(path, target).written == 0
    found = restored(target.uri, tmp_path / "restored")
    project = load_project(found.project_file)
    assert [(each.key, each.now) for each in made.manifest.settings] == [("lake", "tribute-data/lake")]
    assert Path(project.lake_root) == tmp_path / "restored/tribute-data/lake"
    ask = "select * from history.publishers order by all"
    assert query(project.lake_root, ask).equals(query(f"{bucket}/lake", ask))
    assert not Lake(project.lake_root).append("publishers", "r1", publisher_rows("r1", ["p1"]))
    assert contents(path.parent).keys() - contents(tmp_path / "restored").keys() == {
        "tribute-data/signing-key.pem"
    }


def test_a_missing_object_is_named(bucket: str, tmp_path: Path) -> None:
    target = Target(f"{bucket}/others")
    file = quietly(small_project(tmp_path / "project"), target).manifest.files[0]
    target._location.delete(f"objects/{file.sha256[:2]}/{file.sha256}")
    with pytest.raises(DamagedFile, match=rf"{file.path}: s3://.*{file.sha256} is missing"):
        restored(target.uri, tmp_path / "restored")
