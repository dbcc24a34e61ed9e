"""What a project is told before its next run, and who holds its lock."""

import json
import subprocess
from pathlib import Path

import pyarrow as pa

from tests.projects import write_project
from tribute.catalog import lineage
from tribute.config import Project, load_project
from tribute.files.sealed import write_sealed
from tribute_jobs.doctor.examination import sections
from tribute_jobs.doctor.lake import examine_lake
from tribute_jobs.doctor.leftovers import examine_leftovers
from tribute_jobs.doctor.next_run import examine_next_run
from tribute_jobs.doctor.repair import planned
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_jobs.doctor.tracking import examine_tracking
from tribute_jobs.last_run import LastRun
from tribute_storage import SCHEMAS, Lake


def small(folder: Path, **sections: object) -> Project:
    project = load_project(write_project(folder, **sections))
    project.workdir.mkdir()
    return project


def test_another_version_of_a_library_is_named_before_it_trains_anew(tmp_path: Path) -> None:
    project = small(tmp_path)
    LastRun(project.workdir).remember("train", lineage(project).train)
    assert list(examine_next_run(ExaminedProject(project))) == []
    path = project.workdir / "last_run.json"
    kept = json.loads(path.read_text())
    kept["train"] = {"run_id": "train-1", "parts": kept["train"]["parts"] | {"torch": "2.0.0"}}
    path.write_text(json.dumps(kept))
    [fault] = examine_next_run(ExaminedProject(project))
    assert fault.what.startswith("the next run does stage train again: torch 2.0.0 -> ") and not fault.grave


def test_the_memory_of_a_read_out_is_compared_with_the_machine_s(tmp_path: Path) -> None:
    project = small(tmp_path, readout={"memory_gib": 10_000.0}, cluster={"workers": 3})
    [fault] = examine_next_run(ExaminedProject(project))
    assert fault.what.startswith("3 workers take 30000.0 GiB to read out, of ")


def test_the_process_that_holds_the_lock_is_named(tmp_path: Path) -> None:
    project = small(tmp_path)
    lock = project.workdir / ".lock"
    lock.touch()
    assert list(examine_leftovers(ExaminedProject(project))) == []
    command = ["flock", str(lock), "sh", "-c", "echo held; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
            [fault] = examine_leftovers(ExaminedProject(project))
            assert fault.what == f"process {holder.pid} is at work in {project.workdir}" and not fault.grave
        finally:
            holder.kill()


def test_damage_to_one_table_hides_nothing_of_the_others(tmp_path: Path) -> None:
    project = small(tmp_path)
    lake = Lake(project.lake_root)
    rows = pa.table({"run_id": ["r1"], "project": ["press"]}, schema=SCHEMAS["projects"])
    lake.append("projects", "r1", rows)
    stray, log = lake.stage("projects", rows), Path(project.lake_root) / "projects" / "_delta_log"
    for commit in log.iterdir():
        commit.write_bytes(commit.read_bytes()[:40])
    left = Path(project.lake_root) / "publishers"
    left.mkdir()
    (left / "v1-x.parquet").touch()
    found = {fault.what: fault for each in sections(ExaminedProject(project, 0.0)) for fault in each.faults}
    damaged = [fault for what, fault in found.items() if what.startswith(str(log))]
    assert damaged and all(fault.grave and "Restore it" in fault.remedy for fault in damaged)
    assert f"{left} holds 1 files and no log" in found
    assert planned(list(sections(ExaminedProject(project, 0.0)))) == [] and lake.location.info(stray.path)


def test_a_digest_without_its_file_is_a_lost_state_or_fit_or_left_over(tmp_path: Path) -> None:
    project = small(tmp_path)
    folder = project.artifacts / "simulate-1"
    for name in ("step-00000004.safetensors", "fitted.safetensors", "chunk.stack.safetensors"):
        write_sealed(folder / name, b"content")
        (folder / name).unlink()
    found = {f.what: f for each in sections(ExaminedProject(project, 0.0)) for f in each.faults}
    assert found.keys() == {
        f"{folder / 'step-00000004.safetensors'} is missing",
        f"{folder / 'fitted.safetensors'} is missing",
        f"{folder / 'chunk.stack.safetensors.sha256'} is the digest of a file that is not there",
    }
    assert [fault.repair is not None for fault in found.values()] == [not fault.grave for fault in found.values()]


def test_a_table_without_its_log_is_not_a_table_of_orphans(tmp_path: Path) -> None:
    project = small(tmp_path)
    folder = Path(project.lake_root) / "influence"
    folder.mkdir(parents=True)
    (folder / "v1-x.parquet").touch()
    [fault] = examine_lake(ExaminedProject(project, 0.0))
    assert fault.what == f"{folder} holds 1 files and no log" and fault.repair is None


def test_a_tracking_server_is_not_called_sound_without_being_asked(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path, tracking={"uri": "http://127.0.0.1:9"}))
    [note] = examine_tracking(ExaminedProject(project))
    assert note.what == "http://127.0.0.1:9 was not asked" and not note.grave
