"""The project that is examined."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from tribute.catalog import Lineage, SimulationRun, simulation_runs
from tribute.config import Project
from tribute.progress import OnDone
from tribute_jobs.checks.subject import readable_runs
from tribute_storage import Lake

HOURS = 24.0
"""Age from which what nobody names is taken for left over: a run at work has younger files."""


@dataclass(frozen=True)
class ExaminedProject:
    """A project, and the age in hours from which its temporary files and orphans are left over."""

    project: Project
    hours: float = HOURS
    advanced: OnDone = field(default=lambda _done, _total: None, compare=False)
    """Called with the number of artifacts that are examined, and of all."""

    @cached_property
    def lake(self) -> Lake:
        """The project's lake."""
        return Lake(self.project.lake_root)

    @cached_property
    def runs(self) -> Lineage | None:
        """See `readable_runs`."""
        return readable_runs(self.project)

    @cached_property
    def simulations(self) -> list[SimulationRun]:
        """The simulations of the project as it stands."""
        return [] if self.runs is None else simulation_runs(self.project)

    @property
    def age(self) -> timedelta:
        """The age in hours, as a span of time."""
        return timedelta(hours=self.hours)

    def old(self, path: Path) -> bool:
        """Whether a file has not changed for that long."""
        changed = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
        return datetime.now(UTC) - changed >= self.age
