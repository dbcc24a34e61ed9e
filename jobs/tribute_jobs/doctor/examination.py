"""The examination of a machine and of a project: every subject, whatever the others found."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tribute.config import load_project
from tribute.errors import TributeError
from tribute.progress import OnDone
from tribute_jobs.checks import check_project
from tribute_jobs.context import Inputs
from tribute_jobs.doctor.artifacts import examine_artifacts
from tribute_jobs.doctor.cluster import examine_cluster
from tribute_jobs.doctor.fault import Fault, Section
from tribute_jobs.doctor.lake import examine_clock, examine_lake
from tribute_jobs.doctor.leftovers import examine_leftovers
from tribute_jobs.doctor.next_run import examine_next_run
from tribute_jobs.doctor.statements import examine_statements
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_jobs.doctor.tracking import examine_tracking
from tribute_storage import LakeDamaged, LakeError

FIRST = "Restore the tables first, then examine the project again"
Examination = Callable[[ExaminedProject], Iterator[Fault]]

SUBJECTS: dict[str, tuple[Examination, str]] = {
    "tables": (examine_lake, "every file is what was written, and a version names it"),
    "artifacts": (examine_artifacts, "every checkpoint, response and snapshot has its recorded SHA-256"),
    "months": (examine_statements, "every closed month is signed, and its files are what was written"),
    "tracking": (examine_tracking, "MLflow has the project's experiment where it is looked for"),
    "left over": (examine_leftovers, "nothing of an interrupted command"),
    "cluster": (examine_cluster, "Ray starts on this machine, or somebody listens at its address"),
    "times": (examine_clock, "no commit and no file of the future"),
    "next run": (examine_next_run, "there is room for a month like those before"),
}
"""What is looked at in a project besides the checks of a run, and what to say where nothing is wrong."""


def examine(path: Path, hours: float, advanced: OnDone) -> list[Section]:
    """Look at a project. A subject that cannot be examined is a fault of its own, and stops none of the others.

    Args:
        hours: age from which what no record names is left over.
        advanced: called with the number of artifacts that are examined, and of all.
    """
    try:
        project = load_project(path)
    except (TributeError, LakeError) as error:
        return [Section("project", "", (Fault(str(error), "Correct it, then examine the project again"),))]
    checks = check_project(Inputs(project), None).results
    own = list(sections(ExaminedProject(project, hours, advanced)))
    if any(each.name == "tables" and not each.fine for each in own):  # it names every damaged file of the lake
        checks = [each for each in checks if each.fine or each.name != "lake"]
    return [
        Section("project", f"{project.name} in {path}"),
        *(
            Section(each.name, each.detail, warnings=each.warnings)
            if each.fine
            else Section(each.name, "", (Fault(each.detail, ""),))
            for each in checks
        ),
        *own,
    ]


def sections(examined: ExaminedProject, names: Iterable[str] = tuple(SUBJECTS)) -> Iterator[Section]:
    """The subjects of a project besides the checks of a run; of `SUBJECTS`, those that are named."""
    for name in names:
        examination, text = SUBJECTS[name]
        faults = list[Fault]()
        try:
            faults.extend(examination(examined))
        except LakeDamaged as error:
            tables = ", ".join(sorted({each.table for each in error.found})) or str(error)
            faults.append(
                Fault(f"this was not examined, because of damage to the lake: {tables}", FIRST, grave=False)
            )
        except (TributeError, LakeError) as error:
            faults.append(Fault(str(error), ""))
        yield Section(name, text, tuple(faults))
