"""New projects: the commented `project.yaml` that `init` writes and `demo` runs."""

import re
from importlib import resources
from pathlib import Path

from tribute.errors import ConfigError
from tribute_storage.atomic import write_atomically


def write_starter(folder: Path) -> Path:
    """Write `project.yaml` into a folder, named after it.

    Raises:
        ConfigError: there is a project already.
    """
    path = folder / "project.yaml"
    if path.exists():
        raise ConfigError(f"{path} exists already. Choose another folder, or edit that file")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-_.") or "project"
    template = resources.files("tribute_jobs").joinpath("templates/project.yaml").read_text()
    write_atomically(path, template.format(name=name).encode())
    return path


def write_demo(folder: Path) -> Path:
    """The demo's project: written the first time, kept afterwards."""
    path = folder / "project.yaml"
    return path if path.exists() else write_starter(folder)
