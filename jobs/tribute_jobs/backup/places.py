"""Where the files that a project names lie in the restored folder, and which settings have to change for that.

Inside the folder of project.yaml, everything keeps its place. What lies elsewhere gets a folder of its own there.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tribute.config import Project, Settings
from tribute_jobs.backup.manifest import ChangedSetting

ELSEWHERE = "elsewhere"
"""Folder of files that lay outside the project's folder."""
WORKDIR = "tribute-data"
PATTERN = "*?["


class Places:
    """The restored places of a project's files.

    Args:
        raw: project.yaml as it is written.
        root: its folder.
    """

    def __init__(self, project: Project, raw: dict[str, Any], root: Path) -> None:
        self._root = root
        self.workdir = self._inside(project.workdir) or WORKDIR
        self.settings = list[ChangedSetting]()
        self._folders: dict[Path, str] = {_plain(project.workdir): self.workdir}
        self._set("workdir", raw.get("workdir"), self.workdir)
        local = "://" not in project.lake_root
        self.lake = (self._inside(Path(project.lake_root)) if local else None) or f"{self.workdir}/lake"
        self._set("lake", raw.get("lake"), self.lake)
        named = [(key, _plain(root / path), written) for key, path, written in _paths(project, raw)]
        for key, path, written in sorted(named, key=lambda each: len(each[1].parts)):  # a folder before its files
            if key not in ("workdir", "money.signing_key"):
                self._place(key, path, written)

    def of(self, path: Path) -> str | None:
        """The restored path of a file; None: nothing that was named holds it."""
        path, within = _plain(self._root / path), self._inside(path)
        if within is not None:
            return within
        folders = [each for each in self._folders if path.is_relative_to(each)]
        if not folders:
            return None
        nearest = max(folders, key=lambda each: len(each.parts))
        below = path.relative_to(nearest).as_posix()
        return self._folders[nearest] if below == "." else f"{self._folders[nearest]}/{below}"

    def keep(self, key: str, path: Path) -> str:
        """Give a file or folder that a setting names its place, and leave the setting as it is; the place."""
        place = self.of(path)
        if place is None:
            self._folders[_plain(path)] = place = f"{ELSEWHERE}/{key}" + ("" if path.is_dir() else f"/{path.name}")
        return place

    def _place(self, key: str, path: Path, written: object) -> None:
        """Give a named file or folder its place; of a pattern, the folder that it begins with."""
        named = path.parent if any(mark in path.name for mark in PATTERN) and not path.exists() else path
        place = self.keep(key, named)
        self._set(key, written, place if named == path else f"{place}/{path.name}")

    def _set(self, key: str, written: object, place: str) -> None:
        """Note a setting that would lead elsewhere than to its place."""
        if isinstance(written, str) and os.path.normpath(written) != os.path.normpath(place):
            self.settings.append(ChangedSetting(key=key, was=written, now=place))

    def _inside(self, path: Path) -> str | None:
        """A path relative to the project's folder; None: it leads out of it."""
        plain = _plain(self._root / path)
        return plain.relative_to(self._root).as_posix() if plain.is_relative_to(self._root) else None


def _plain(path: Path) -> Path:
    """A path without the steps back in it."""
    return Path(os.path.normpath(path))


def _paths(section: Settings, raw: object, prefix: str = "") -> Iterator[tuple[str, Path, object]]:
    """Every path in the settings: its key, where it leads, and as it is written (None: it is not)."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        written = raw.get(name) if isinstance(raw, dict) else None
        if isinstance(value, Settings):
            yield from _paths(value, written, f"{prefix}{name}.")
        elif isinstance(value, Path):
            yield f"{prefix}{name}", value, written
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            many: Sequence[object] = written if isinstance(written, list) else [written]
            for number, (path, each) in enumerate(zip(value, many, strict=True)):
                yield f"{prefix}{name}.{number}" if isinstance(written, list) else f"{prefix}{name}", path, each
