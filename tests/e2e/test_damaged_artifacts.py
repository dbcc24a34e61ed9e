"""Artifacts are what was written, or refused by name; what is lost is made again, to the same bytes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.tables import fingerprints
from tribute.catalog import lineage, recorded_replicates, recorded_trainings, simulated_responses, simulation_runs
from tribute.config import Project, load_project
from tribute.corpus import open_part
from tribute.errors import DamagedFile
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

PERIOD = "2026-10"


@pytest.fixture
def project(finished_folder: Path, tmp_path: Path) -> Project:
    """A copy of the finished project, to be damaged."""
    shutil.copytree(finished_folder, tmp_path / "press")
    return load_project(tmp_path / "press" / "project.yaml")


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def responses(project: Project, name: str = "simulated") -> Iterator[Path]:
    runs = {each.name: each.run_id for each in simulation_runs(project)}
    for simulated in simulated_responses(project, runs[name]):
        yield from (file.path for file in simulated.files if file)


def read_all(project: Project) -> None:
    """Read every artifact that a month reads."""
    for part in ("train", "held_out"):
        open_part(project.artifacts / lineage(project).corpus_run, part)
    for replicate in recorded_replicates(project):
        for step in replicate.trajectory.steps():
            replicate.trajectory.load(step)
        replicate.final()
    for each in simulation_runs(project):
        for simulated in simulated_responses(project, each.run_id):
            for file in filter(None, simulated.files):
                file.verify()


def damaged(project: Project) -> dict[str, tuple[Path, str]]:
    """A file of every kind, and the command that makes it again."""
    snapshot, [first, *_] = project.artifacts / lineage(project).corpus_run, recorded_trainings(project)
    return {
        "final": (first.file, "simulate"),
        "state": (first.trajectory.path(first.trajectory.steps()[1]), "simulate"),
        "response": (next(responses(project)), "simulate"),
        "snapshot": (snapshot / "train-00000.shard", "train"),
        "manifest": (snapshot / "manifest.json", "train"),
    }


def test_a_flipped_bit_in_any_artifact_is_named_with_the_command_that_makes_it_again(project: Project) -> None:
    read_all(project)
    for kind, (path, command) in damaged(project).items():
        whole = path.read_bytes()
        for place in (-1, len(whole) // 2, 3):
            flip(path, place)
            with pytest.raises(DamagedFile) as raised:
                read_all(project)
            text = str(raised.value)
            assert text.startswith(f"{path} is damaged: its SHA-256 is "), (kind, text)
            assert f"tribute doctor PROJECT.yaml --repair. Then tribute {command} PROJECT.yaml makes" in text
            path.write_bytes(whole)
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DamagedFile, match="is damaged"):
            read_all(project)
        path.write_bytes(whole)
    read_all(project)


def test_everything_that_is_lost_is_made_again_to_the_same_bytes(project: Project) -> None:
    kinds = (".safetensors", ".shard", ".json", ".sha256")
    before = {path: path.read_bytes() for path in project.artifacts.rglob("*") if path.suffix in kinds}
    tables = fingerprints(project.lake_root)
    second = recorded_trainings(project)[1].trajectory.path(0)
    for path in (*(path for path, _ in damaged(project).values()), second):
        path.unlink()
    outcome = run(project, PERIOD, JsonReporter(), "simulate")
    assert outcome.changed
    read_all(project)
    assert [path for path, content in before.items() if path.read_bytes() != content] == []
    assert fingerprints(project.lake_root) == tables
    assert not run(project, PERIOD, JsonReporter(), "simulate").changed
