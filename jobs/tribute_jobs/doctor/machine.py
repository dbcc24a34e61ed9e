"""The machine: Python and packages, processors, disk, time zone, and what Ray needs and leaves behind."""

import os
import platform
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tribute_jobs.doctor.fault import Fault, Section

GIB = 2**30
PACKAGES = ("torch", "ray", "duckdb", "deltalake", "mlflow", "pyarrow")
SOCKET = "ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store"
"""The longest path of a socket below Ray's folder."""
LONGEST = 107
"""Bytes of a socket's path, as Linux has it."""
SHORTER = "Set TMPDIR to a short path of a folder that can be written to: export TMPDIR=/tmp"
SESSIONS = "Delete them when no Ray runs: rm -r FOLDER"
ORPHANS = "If you did not start a cluster by ray start, end it: kill PID"
SEGMENTS = "Delete it when no Ray runs: rm FILE"


def machine_sections() -> Iterator[Section]:
    """The machine, in the order of the printed list."""
    standard = str(Path(sysconfig.get_paths()["stdlib"]) / "platform.py")
    old = Fault(f"Python {platform.python_version()} is too old", "Install Python 3.11 or later")
    hidden = Fault(f"the module platform is {platform.__file__}", "Take its folder out of PYTHONPATH")
    yield Section(
        "python", f"{platform.python_version()} (3.11 or later)", () if sys.version_info >= (3, 11) else (old,)
    )
    text = f"the standard library's module: {platform.__file__}"
    yield Section("platform", text, () if platform.__file__ == standard else (hidden,))
    yield Section("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    yield Section("processors", f"{os.cpu_count()} (one worker each is a good start)")
    free = shutil.disk_usage(Path.cwd()).free / GIB
    full = Fault(f"{free:.1f} GiB free here", "Free some: checkpoints and responses need some")
    text = f"{free:.0f} GiB free here; checkpoints and responses need some"
    yield Section("disk", text, () if free > 2 else (full,))
    yield Section("clock", f"{time.strftime('%Y-%m-%d %H:%M %Z (UTC%z)')}; months begin and end in UTC")
    yield Section("temporary", f"{temporary_folder()} has room for Ray's sockets", tuple(examine_temporary()))
    yield Section("ray", "nothing of an earlier session", tuple(examine_ray()))


def temporary_folder() -> Path:
    """The folder in which Ray puts its sessions."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")


def examine_temporary() -> Iterator[Fault]:
    """Whether the folder for temporary files can hold Ray's sockets."""
    folder = temporary_folder()
    length = len(os.fsencode(folder.absolute() / SOCKET))
    if length > LONGEST:
        yield Fault(f"{folder} is {length - LONGEST} characters too long for Ray's sockets", SHORTER)
    elif not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Fault(f"{folder}, the folder for temporary files, cannot be written to", SHORTER)


def examine_ray(shared: Path = Path("/dev/shm"), processes: Path = Path("/proc")) -> Iterator[Fault]:
    """What dead Ray sessions of this user left behind. All of it is only named: another program may need it."""
    folder = temporary_folder() / "ray"
    dead = [each for each in sorted(folder.glob("session_*_*_*_*")) if _own(each) and not _alive(each)]
    if dead:
        what = f"{len(dead):,} folders of Ray sessions that ended, such as {dead[0]}"
        yield Fault(what, SESSIONS.replace("FOLDER", f"{folder}/session_*"), grave=False)
    daemons = list(_daemons(processes))
    for pid, name in daemons:
        if _parent(processes / pid) == 1:
            yield Fault(
                f"process {pid} ({name}) of Ray has lost its parent", ORPHANS.replace("PID", pid), grave=False
            )
    if not daemons and shared.is_dir():
        for path in sorted(shared.glob("plasma*")):
            if _own(path):
                text = f"{path} is shared memory of a Ray session that ended"
                yield Fault(text, SEGMENTS.replace("FILE", str(path)), grave=False)


def _own(path: Path) -> bool:
    return not path.is_symlink() and path.exists() and path.stat().st_uid == os.getuid()


def _alive(session: Path) -> bool:
    """Whether the process lives that began a session; its id ends the folder's name."""
    pid = session.name.rpartition("_")[2]
    return not pid.isdigit() or Path("/proc", pid).exists() or not Path("/proc/self").exists()


def _daemons(processes: Path) -> Iterator[tuple[str, str]]:
    """Ray's raylets and head servers of this user: process ids and names."""
    for each in processes.glob("[0-9]*"):
        try:
            name = Path(os.fsdecode((each / "cmdline").read_bytes().split(b"\0")[0])).name
            if name in ("raylet", "gcs_server") and each.stat().st_uid == os.getuid():
                yield each.name, name
        except OSError:  # it ended meanwhile
            continue


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
