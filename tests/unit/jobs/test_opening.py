"""A project whose disk is not mounted is not taken for a new one."""

from pathlib import Path

import pytest

from tests.faults import may_mount, small_disk
from tests.projects import write_project
from tests.unit.jobs.commanding import tribute
from tribute.catalog import Identity
from tribute.errors import MachineError
from tribute_jobs.last_run import LastRun
from tribute_jobs.opening import open_project


@pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount a disk")
def test_a_working_folder_whose_disk_is_not_mounted_is_refused_until_it_is_there_again(tmp_path: Path) -> None:
    workdir = tmp_path / "disk" / "tribute"
    path = write_project(tmp_path / "project", workdir=str(workdir))
    mark = path.with_name(".project.yaml.workdir")
    workdir.parent.mkdir()
    open_project(path)
    with small_disk(workdir.parent):
        workdir.mkdir()
        open_project(path)
        assert not mark.exists(), "nothing ran in it yet"
        LastRun(workdir).remember("corpus", Identity("corpus-1", {}))
        (workdir / "lake" / "runs").mkdir(parents=True)
        open_project(path)
        assert mark.read_text() == str(workdir)
        mark.write_text(str(tmp_path / "before"))
        open_project(path)
        assert mark.read_text() == str(workdir), "it was moved to this disk"
    for folder in (None, workdir):
        if folder is not None:
            folder.mkdir()
        with pytest.raises(
            MachineError, match=rf"{workdir} is empty or not there.* Mount that disk.* delete {mark}"
        ):
            open_project(path)
    assert "Mount that disk" in tribute("status", path).text
    mark.write_text(str(tmp_path / "before"))
    open_project(path)  # another folder was in use
    mark.unlink()
    open_project(path)


def test_a_working_folder_beside_the_project_may_be_deleted(tmp_path: Path) -> None:
    path = write_project(tmp_path)
    workdir = open_project(path).workdir
    workdir.mkdir(exist_ok=True)
    LastRun(workdir).remember("corpus", Identity("corpus-1", {}))
    (workdir / "lake" / "runs").mkdir(parents=True)
    open_project(path)
    assert not path.with_name(".project.yaml.workdir").exists()
