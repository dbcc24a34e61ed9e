"""What the machine refuses, in plain words, and how a command ends then."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from ray.exceptions import LocalRayletDiedError, ObjectStoreFullError, RayTaskError
from safetensors.torch import save_file

from tests.faults import fill, frozen, may_mount, read_only, small_disk
from tests.projects import write_project
from tests.unit.jobs.commanding import tribute
from tribute.config import load_project
from tribute.errors import ConfigError, MachineError
from tribute_jobs.context import locked
from tribute_jobs.faults import REFUSALS, machine_error, stage_at_work
from tribute_storage.atomic import write_atomically

AGAIN = "then run the same command again: finished work is kept"


@pytest.fixture
def disk(tmp_path: Path):
    """A disk of 8 MiB."""
    if not may_mount():
        pytest.skip("mounting a disk takes root")
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def told(work: Callable[[], object]) -> str:
    """What is said of the fault that some work meets."""
    with pytest.raises(Exception) as found:
        work()
    error = machine_error(found.value)
    assert isinstance(error, MachineError)
    return str(error)


@pytest.mark.parametrize("number", sorted(REFUSALS), ids=lambda number: errno.errorcode[number])
def test_every_refusal_names_the_path_and_what_to_do(number: int) -> None:
    error = OSError(number, os.strerror(number), "/data/press/x.json")
    text = str(machine_error(error))
    assert text.endswith(AGAIN) and "\n" not in text
    assert number == errno.ENOMEM or text.startswith("/data/press/x.json: ")


def test_a_full_disk_is_named_by_each_library_that_writes(disk: Path) -> None:
    fill(disk)
    writers = {
        "ours": lambda: write_atomically(disk / "x.json", bytes(10**6)),
        "safetensors": lambda: save_file({"x": torch.zeros(10**6)}, disk / "x.safetensors"),
        "arrow": lambda: pq.write_table(pa.table({"x": range(10**6)}), disk / "x.parquet"),
    }
    for name, work in writers.items():
        text = told(work)
        assert "there is no room left on the disk. Make room there, " in text, (name, text)
    assert told(writers["ours"]).startswith(f"{disk / 'x.json'}: ")


def test_a_disk_that_can_only_be_read_and_a_frozen_file_are_named(disk: Path, tmp_path: Path) -> None:
    with read_only(disk):
        text = told(lambda: write_atomically(disk / "x.json", b"1"))
    assert text.startswith(f"{disk / 'x.json'}: the disk can only be read. Mount it for writing")
    kept = tmp_path / "kept.json"
    kept.write_text("1")
    with frozen(kept):
        assert told(lambda: write_atomically(kept, b"2")).startswith(f"{kept}: user ")
    assert kept.read_text() == "1" and [each.name for each in tmp_path.glob(".kept*")] == []


def test_a_worker_s_fault_is_found_behind_ray_s_error_with_its_stage() -> None:
    cause = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    with pytest.raises(RayTaskError) as found, stage_at_work("train"):
        raise RayTaskError("train", "Traceback ...", cause).as_instanceof_cause()
    assert str(machine_error(found.value)).startswith(
        "/data/x: there is no room left on the disk (stage train). Make room there"
    )


def test_memory_and_ray_s_own_errors_are_the_machine_s() -> None:
    assert str(machine_error(MemoryError())).startswith("Memory ran out. End other programs, or lower")
    assert str(machine_error(RuntimeError("DefaultCPUAllocator: can't allocate memory"))).startswith("Memory")
    assert "Ray stopped working (LocalRayletDiedError: " in str(machine_error(LocalRayletDiedError()))
    assert "Ray stopped working (ObjectStoreFullError: full" in str(machine_error(ObjectStoreFullError("full")))


def test_a_defect_and_what_has_its_own_words_stay_as_they_are() -> None:
    assert machine_error(ZeroDivisionError("division by zero")) is None
    assert machine_error(OSError(errno.EINVAL, "Invalid argument")) is None
    assert machine_error(ConfigError("name is missing")) is None


def test_a_folder_that_vanishes_under_a_command_is_named(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path))
    moved = "was moved or deleted while the command was at work"
    with pytest.raises(MachineError, match=moved) as found, locked(project):
        project.workdir.rename(tmp_path / "elsewhere")
        project.workdir.mkdir()
        raise ConfigError("The lake holds no corpus")
    assert str(project.workdir) in str(found.value)
    with pytest.raises(ConfigError, match="holds no corpus"), locked(project):
        raise ConfigError("The lake holds no corpus")


@pytest.mark.parametrize("name", ["work", "lake"])
def test_what_seems_to_be_done_in_a_folder_that_took_its_place_has_failed(name: str, tmp_path: Path) -> None:
    """A first commit to a table would make the folder anew, and be gone once the disk is there again."""
    folders = {each: tmp_path / "disks" / each for each in ("work", "lake")}
    project = load_project(write_project(tmp_path, workdir=str(folders["work"]), lake=str(folders["lake"])))
    for folder in folders.values():
        folder.mkdir(parents=True)
    with pytest.raises(MachineError, match=f"Folder {folders[name]} was moved or deleted"), locked(project):
        folders[name].rename(tmp_path / "elsewhere")
        folders[name].mkdir()
    with locked(project):
        pass


def test_a_command_on_a_full_disk_is_refused_as_the_machine_s(disk: Path) -> None:
    path = write_project(disk)
    fill(disk)
    assert "no room left on the disk" in tribute("init", disk / "other").text
    assert not (disk / "other" / "project.yaml").exists() and path.exists()


@pytest.mark.parametrize(
    "words, code, said",
    [
        ("status PROJECT > /dev/full", 5, "no room left on the disk"),
        ("status PROJECT | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("ulimit -f 0; run PROJECT", 5, "No folder for temporary files can be written to"),
    ],
    ids=["full", "closed", "limit"],
)
def test_output_that_cannot_be_written_ends_plainly(tmp_path: Path, words: str, code: int, said: str) -> None:
    path = write_project(tmp_path)
    line = words.replace("PROJECT", str(path))
    for name in ("status", "run"):
        line = line.replace(f"{name} ", f"{sys.executable} -m tribute_jobs.cli {name} ", 1)
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr and said in ended.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
