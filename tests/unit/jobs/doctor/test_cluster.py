"""Whether anybody listens where a project's Ray cluster is said to be."""

import socket
from pathlib import Path

from tests.projects import write_project
from tribute.config import load_project
from tribute_jobs.doctor.cluster import examine_cluster
from tribute_jobs.doctor.subject import ExaminedProject


def faults(folder: Path, address: str) -> list[str]:
    project = load_project(write_project(folder, cluster={"address": address}))
    return [each.what for each in examine_cluster(ExaminedProject(project))]


def test_an_address_that_nobody_listens_at_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        assert faults(tmp_path, address) == faults(tmp_path, f"ray://{address}") == []
    assert faults(tmp_path, address) == [f"nobody answers at cluster.address '{address}': Connection refused"]
    [beyond] = faults(tmp_path, "127.0.0.1:123456")
    assert beyond.startswith("nobody answers at cluster.address '127.0.0.1:123456': ")


def test_a_cluster_that_ray_itself_finds_is_not_asked(tmp_path: Path) -> None:
    assert faults(tmp_path, "local") == faults(tmp_path, "auto") == []
