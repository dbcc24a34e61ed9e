"""A project with a lake, artifacts and statements, made without a run."""

import hashlib
from pathlib import Path

import pyarrow as pa

from tests.projects import write_project
from tests.unit.storage.rows import publisher_rows
from tribute.config import Project, load_project
from tribute.royalty.proof import new_key
from tribute_jobs.backup.creation import Made, back_up
from tribute_jobs.backup.restoration import Restored, restore
from tribute_jobs.backup.target import Target
from tribute_storage import SCHEMAS, Lake

COPY = "artifacts/files/fees.csv"


def small_project(folder: Path, **sections: object) -> Path:
    """Its project.yaml."""
    path = write_project(folder, **sections)
    project = load_project(path)
    lake = Lake(project.lake_root)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1", "p2"]))
    add_artifact(project, "r1", b"customer_id,fee\na,1\n")
    write(project.workdir / "statements/2026-10-v1/p1.json", b"{}")
    write(project.workdir / "signing-key.pem", new_key()[0].encode())
    return path


def add_artifact(project: Project, run_id: str, content: bytes, name: str = COPY) -> None:
    """An artifact, then a row of the lake that names it."""
    write(project.workdir / name, content)
    row = {"run_id": run_id, "setting": "money.fees", "name": "fees.csv", "artifact_uri": name}
    row["artifact_sha256"] = hashlib.sha256(content).hexdigest()
    Lake(project.lake_root).append("settled_files", run_id, pa.Table.from_pylist([row], SCHEMAS["settled_files"]))


def write(path: Path, content: bytes) -> None:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def unseen(done: float, total: int) -> None:
    """Progress that nobody watches."""
    assert 0 < done <= total


def quietly(path: Path, target: Path | Target, part: int = 2**20) -> Made:
    """A backup of the project."""
    place = target if isinstance(target, Target) else Target(str(target))
    return back_up(path, load_project(path), place, unseen, part)


def restored(target: Path | str, folder: Path, chosen: str | None = None) -> Restored:
    """A backup put together in a folder."""
    return restore(Target(str(target)), folder, unseen, chosen)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for locks, marks of tables and what stays with its machine."""
    left = (".lock", "backup_digests.json")
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in left)
    paths = (path for path in paths if path.parent.name != "_tables")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
