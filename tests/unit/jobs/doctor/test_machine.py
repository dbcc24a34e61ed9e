"""What the machine lacks for Ray, and what dead Ray sessions left: named, and nothing of the living."""

import os
from pathlib import Path

import pytest

from tribute_jobs.doctor.machine import LONGEST, examine_ray, examine_temporary, machine_sections


@pytest.mark.parametrize(("length", "fine"), [(20, True), (LONGEST - 70, True), (LONGEST - 60, False)])
def test_a_temporary_folder_has_room_for_sockets(monkeypatch: pytest.MonkeyPatch, length: int, fine: bool) -> None:
    folder = Path("/tmp", "d" * (length - 5))
    folder.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(folder))
    try:
        found = list(examine_temporary())
    finally:
        folder.rmdir()
    assert [fault.remedy.startswith("Set TMPDIR to a short path") for fault in found] == [True] * (not fine)


def test_a_temporary_folder_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/gone-for-good")
    [fault] = examine_temporary()
    assert fault.what.startswith("/tmp/gone-for-good, the folder for temporary files, cannot be written to")


def test_what_dead_sessions_left_is_named_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    dead = tmp_path / "ray" / "session_2026-01-01_00-00-00_000000_999999999"
    for folder in (dead, dead.with_name(f"session_2026-01-01_00-00-00_000000_{os.getpid()}")):
        folder.mkdir(parents=True)
    shared, processes = tmp_path / "shm", tmp_path / "proc"
    shared.mkdir()
    (shared / "plasma-1").touch()
    (shared / "of another program").touch()
    [sessions, segment] = examine_ray(shared, processes)
    assert sessions.what == f"1 folders of Ray sessions that ended, such as {dead}"
    assert segment.what.startswith(str(shared / "plasma-1"))
    for pid, parent in ((71, 1), (72, 71)):
        (processes / str(pid)).mkdir(parents=True)
        (processes / str(pid) / "cmdline").write_bytes(b"/lib/ray/raylet\0--port=1\0")
        (processes / str(pid) / "stat").write_text(f"{pid} (ray (let) S {parent} 1 1")
    [_, daemon] = examine_ray(shared, processes)
    assert daemon.what == "process 71 (raylet) of Ray has lost its parent" and "kill 71" in daemon.remedy
    assert not sessions.grave and sessions.repair is None and daemon.repair is None and dead.exists()


def test_the_clock_says_in_which_zone_months_are() -> None:
    texts = {section.name: section.text for section in machine_sections()}
    assert texts["clock"].endswith("months begin and end in UTC")
