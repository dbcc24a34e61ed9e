"""Files of the project that statements rest on and the lake does not hold: copied when a version is settled."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tribute.config import Project
from tribute.errors import MoneyError
from tribute_storage import SCHEMAS, Lake
from tribute_storage.atomic import write_atomically
from tribute_storage.file_names import file_stem


class SettledFile(NamedTuple):
    """A file as it was read: the key of project.yaml that names it, its name, its bytes, and where a copy goes.

    `sha256`: of its bytes, hexadecimal.
    """

    setting: str
    name: str
    content: bytes
    sha256: str
    copy: Path
    artifact_uri: str


def project_files(project: Project) -> tuple[SettledFile, ...]:
    """Agreements, declared terms and customers' fees, as far as the project has them.

    Raises:
        MoneyError: one cannot be read.
    """
    named = {
        "money.fees": project.money.fees,
        "rights.agreements": project.rights.agreements,
        "rights.terms": project.rights.terms,
    }
    return tuple(_read(project, setting, path) for setting, path in named.items() if path is not None)


def require_unchanged(project: Project, files: Sequence[SettledFile]) -> None:
    """Check that the files have not changed since they were read, so that they hold what was parsed.

    Raises:
        MoneyError: a file changed, or can no longer be read.
    """
    for before, now in zip(files, project_files(project), strict=True):
        if before.sha256 != now.sha256:
            raise MoneyError(
                f"{now.name}, which {now.setting} names, changed during the settlement. Run the same command "
                "again when it is complete"
            )


def keep_files(lake: Lake, run_id: str, files: Sequence[SettledFile]) -> None:
    """Copy the files of a settlement to `artifacts/files`, then commit them to `settled_files`."""
    for file in files:
        if not file.copy.exists():
            write_atomically(file.copy, file.content)
    rows = [
        {
            "run_id": run_id,
            "setting": file.setting,
            "name": file.name,
            "artifact_uri": file.artifact_uri,
            "artifact_sha256": file.sha256,
        }
        for file in files
    ]
    if rows:
        lake.append("settled_files", run_id, pa.Table.from_pylist(rows, SCHEMAS["settled_files"]))


def _read(project: Project, setting: str, path: Path) -> SettledFile:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MoneyError(
            f"{path}, which {setting} names, cannot be read: {error.strerror}. Correct the path"
        ) from None
    sha256 = hashlib.sha256(content).hexdigest()
    copy = project.artifacts / "files" / f"{sha256[:16]}-{file_stem(path.name)}"
    return SettledFile(setting, path.name, content, sha256, copy, copy.relative_to(project.workdir).as_posix())
