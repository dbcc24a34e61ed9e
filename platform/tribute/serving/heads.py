"""The heads of live queries on disk: the one in use, and those that recorded uses name."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from numpy.typing import NDArray

from tribute.catalog import lineage
from tribute.config import Project
from tribute.readout import Head, SourceHead
from tribute.simulation import Design, Simulated, design_of
from tribute_storage.atomic import write_atomically


class Heads:
    """The heads of a project's simulation, in a folder of its artifacts. One is in use for a precision."""

    def __init__(self, project: Project) -> None:
        self._folder = project.artifacts / lineage(project).simulate_run / "heads"
        self._current = self._folder / f"current-{project.readout.precision}"

    def current(self) -> Head | None:
        """The head that was adopted last; None: no head was.

        Raises:
            DamagedFile: it is missing, or not what was written.
        """
        return self.load(self._current.read_text()) if self._current.is_file() else None

    def adopt(self, head: Head) -> None:
        """Keep a head, and use it from now on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        head.save(self._folder)
        write_atomically(self._current, head.head_id.encode())

    def load(self, head_id: str) -> Head:
        """A head by its id; raises what `current` raises."""
        return _loaded(self._folder / f"{head_id}.safetensors")

    def by_source(self, head_id: str, design: Design) -> SourceHead:
        """A head's predictions by source."""
        return SourceHead.of(self.load(head_id), design)


def served_design(project: Project, responses: Sequence[Simulated], tokens_S: NDArray) -> Design:
    """How influences of the simulated units add up to those of the sources."""
    units, failed = [each.unit for each in responses], [each.failed for each in responses]
    return design_of(project.simulation.notion, units, tokens_S, failed)


@lru_cache(maxsize=8)
def _loaded(path: Path) -> Head:
    return Head.load(path)
