"""What the next run needs and does not have: disk, memory, and the versions that run ids depend on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from tribute_jobs.checks.space import GIB, memory_gib
from tribute_jobs.doctor.fault import Fault
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_jobs.last_run import LastRun
from tribute_storage import open_tables

ROOM = "Free some, or set workdir or lake to a folder on another disk"
MEMORY = "Lower cluster.workers or readout.memory_gib, or close other programs"
CHANGED = "That is right if you changed it on purpose. Else restore what it was, and everything is kept"


def examine_next_run(examined: ExaminedProject) -> Iterator[Fault]:
    """A month like the largest so far, on this machine as it is now; and stages that would run again."""
    project, lake = examined.project, examined.lake
    if not lake.location.remote and (size := _month_bytes(examined)):
        existing = next(each for each in (project.workdir, *project.workdir.absolute().parents) if each.is_dir())
        free = shutil.disk_usage(existing).free
        if size > free:
            what = f"a month writes {size / GIB:.2f} GiB to the lake, and {existing} has {free / GIB:.2f} GiB free"
            yield Fault(what, ROOM)
    if project.cluster.address == "local":
        needed = project.cluster.workers * project.readout.memory_gib
        if needed > memory_gib():
            what = (
                f"{project.cluster.workers} workers take {needed:.1f} GiB to read out, of {memory_gib():.1f} GiB"
            )
            yield Fault(what, MEMORY, grave=False)
    if examined.runs is not None:
        last, runs = LastRun(project.workdir), examined.runs
        stages = {"corpus": runs.corpus, "train": runs.train, "simulate": runs.simulate}
        for stage, identity in stages.items():
            if why := last.why(stage, identity):
                yield Fault(f"the next run does stage {stage} again: {why}", CHANGED, grave=False)
                return


def _month_bytes(examined: ExaminedProject) -> int:
    """Bytes that an attributed month took in the lake, on average."""
    with open_tables(examined.project.lake_root, "queries") as connection:
        [(months,)] = connection.execute("select count(distinct run_id) from queries").fetchall()
    sizes = sum(path.stat().st_size for path in map(Path, examined.lake.files("influence")) if path.exists())
    return sizes // months if months else 0
