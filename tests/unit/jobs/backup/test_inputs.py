"""Whatever a project reads is in its backup: own code, files of options, recordings. What cannot be is said."""

import gzip
import sys
from pathlib import Path

import pytest
import yaml

from tests.projects import settings
from tests.unit.jobs.backup.small import quietly, restored, small_project, write
from tribute.catalog.task_code import task_code
from tribute.config import load_project


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small_project(tmp_path / "project")


def rewrite(path: Path, **sections: object) -> None:
    """Give a project other sections."""
    path.write_text(yaml.safe_dump(settings(**sections)))


def test_own_code_comes_back_beside_the_project_wherever_it_lay(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    write(path.parent / "beside_task.py", b"import far_away.words\n\ndef build():\n    pass\n")
    write(library / "far_away" / "__init__.py", b"")
    write(library / "far_away" / "words.py", b"WORDS = 1\n")
    monkeypatch.syspath_prepend(str(library))
    rewrite(path, task={"name": "beside_task:build"})
    quietly(path, tmp_path / "backups")
    folder = restored(tmp_path / "backups", tmp_path / "restored").project_file.parent
    for name in ("beside_task.py", "far_away/__init__.py", "far_away/words.py"):
        assert (folder / name).is_file()
    before = task_code("beside_task")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    assert task_code("beside_task") == before and len(before) == 3


def test_an_option_that_names_a_file_is_left_as_it_is_and_said(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options count for run ids, so another text would train everything again."""
    monkeypatch.chdir(path.parent)
    write(tmp_path / "words" / "vocabulary.txt", b"one two")
    write(path.parent / "near.txt", b"three")
    far = str(tmp_path / "words")
    rewrite(path, task={"name": "byte_lm", "options": {"far": far, "near": "near.txt"}})
    made = quietly(path, tmp_path / "backups")
    found = restored(tmp_path / "backups", tmp_path / "restored").project_file
    assert (found.parent / "elsewhere/task.options.far/vocabulary.txt").read_bytes() == b"one two"
    assert (found.parent / "near.txt").read_bytes() == b"three"
    assert load_project(found).task.options["far"] == far
    assert made.manifest.notes == (f"task.options.far leads to {far}. Put elsewhere/task.options.far there",)


def test_recordings_checkpoints_and_idx_files_come_back(path: Path, tmp_path: Path) -> None:
    recording, disk = tmp_path / "recordings" / "0", tmp_path / "disk"
    for name in ("recording.json", "steps.jsonl", "states/step-1.safetensors"):
        write(recording / name, name.encode())
    for name in ("images.gz", "labels.gz", "assignment.txt"):
        write(disk / name, gzip.compress(name.encode()))
    idx = {"images": str(disk / "images.gz"), "labels": str(disk / "labels.gz")}
    rewrite(
        path,
        corpus={"kind": "idx", "assignment": str(disk / "assignment.txt"), **idx},
        queries={"kind": "idx", **idx},
        training={"recordings": [str(recording)], "replicates": 1},
    )
    before = load_project(path)
    quietly(path, tmp_path / "backups")
    after = load_project(restored(tmp_path / "backups", tmp_path / "restored").project_file)
    [folder] = after.training.recordings
    assert (folder / "states/step-1.safetensors").read_bytes() == b"states/step-1.safetensors"
    for section in ("corpus", "queries"):
        for name in idx:
            old, new = (getattr(getattr(each, section), name) for each in (before, after))
            assert new.is_relative_to(tmp_path / "restored") and new.read_bytes() == old.read_bytes()


def test_what_is_not_there_is_said(path: Path, tmp_path: Path) -> None:
    (path.parent / "usage.jsonl").unlink()
    (path.parent / "sources.csv").unlink()
    notes = quietly(path, tmp_path / "backups").manifest.notes
    assert [note.partition(path.parent.name + "/")[2].split()[0] for note in notes] == [
        "sources.csv",
        "usage.jsonl",
    ]


def test_files_in_a_named_folder_stay_in_it_whatever_else_names_them(path: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for name in ("usage.jsonl", "sources.csv"):
        write(disk / "month" / name, (path.parent / name).read_bytes())
    rewrite(
        path,
        rights={"sources": "../disk/month/sources.csv"},
        queries={"kind": "usage", "path": [f"{disk}/month/../month/*.jsonl", str(disk / "month/usage.jsonl")]},
    )
    quietly(path, tmp_path / "backups")
    after = load_project(restored(tmp_path / "backups", tmp_path / "restored").project_file)
    assert after.rights.sources is not None and after.rights.sources.is_file()
    pattern, file = after.queries.path
    assert list(pattern.parent.glob(pattern.name)) == [file]
