"""A seed: some commands of the script, each hit by drawn faults, and what became of the tables."""

import shutil
from dataclasses import dataclass, field

from tests.chaos.commands import Ended
from tests.chaos.faults import ENDING, EXPECTED, MOUNTED, WITH_RAY, Attempt, Fault, fitting, lost_flush, name_of
from tests.chaos.plain import faults_of, innards
from tests.chaos.script import NAMES, SCRIPT, change_rights, difference, everything
from tests.chaos.world import World
from tests.fuzz.chance import Chance
from tribute_jobs.exit_codes import ExitCode

STEPS = 2
"""Commands of a seed."""
FURTHER = 3
"""Times that a command is run without a fault before it counts as stuck."""
ENDS = ("identical", "refused_resumable", "failed")


@dataclass
class Outcome:
    """How a seed ended.

    Attributes:
        lost, doubled: rows that are missing in the end, or too many.
        tracebacks: commands that printed one, or the like.
        hit: the faults that hit, in words, with their steps.
        problems: what is wrong.
    """

    seed: int
    lost: int = 0
    doubled: int = 0
    tracebacks: int = 0
    refusals: int = 0
    hit: list[str] = field(default_factory=list)
    problems: list[dict[str, object]] = field(default_factory=list)

    @property
    def end(self) -> str:
        """One of `ENDS`."""
        if self.problems or self.lost or self.doubled:
            return "failed"
        return "refused_resumable" if self.refusals else "identical"


@dataclass(frozen=True)
class Plan:
    """What a seed draws: the first of its commands, how many, and the faults of each."""

    first: int
    faults: tuple[tuple[Fault, ...], ...]


def drawn_plan(seed: int, mounts: bool) -> Plan:
    """One or two faults for each command. Which faults a machine allows does not change what others are drawn."""
    chance = Chance(seed, 1)
    first = chance.whole(0, len(SCRIPT) - STEPS)
    drawn = [tuple(chance.some(fitting(name, True), chance.whole(1, 2))) for name in NAMES[first : first + STEPS]]
    if not mounts:
        drawn = [tuple(fault for fault in faults if fault not in MOUNTED) for faults in drawn]
    return Plan(first, tuple(drawn))


def judged(seed: int, world: World, plan: Plan | None = None) -> Outcome:
    """Run a seed's commands under faults, in a folder of its own, and compare with the run without any."""
    plan = plan or drawn_plan(seed, world.disk is not None)
    outcome, folder = Outcome(seed), world.root / f"seed-{seed}"
    if set(NAMES[plan.first : plan.first + len(plan.faults)]) & set(WITH_RAY):
        world.ray.start()
    world.reference.copy(plan.first, folder, world.ray.address)
    try:
        for place, faults in enumerate(plan.faults):
            number = plan.first + place
            if SCRIPT[number].other_rights and place:
                change_rights(folder)
            if not _run(Attempt(world, number, folder, Chance(seed, 2, place)), faults, outcome):
                break
        found = difference(everything(folder), world.reference.after(plan.first + len(plan.faults) - 1))
        outcome.lost, outcome.doubled = found.lost, found.doubled
        outcome.problems += [{"found": place} for place in found.places]
    except Exception as error:  # tables that cannot be read are lost
        outcome.problems.append({"found": f"the tables cannot be read: {error}"})
        outcome.lost += sum(sum(rows.values()) for rows in world.reference.after(plan.first)[0].values())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _run(attempt: Attempt, faults: tuple[Fault, ...], outcome: Outcome) -> bool:
    """Run a command under its faults, and then until it is done; whether it was."""
    before: tuple[Fault, Ended] | None = None
    for fault in (*faults, *[None] * FURTHER):
        ended = fault(attempt) if fault else attempt.run()
        expected = expected_codes(fault, ended)
        if before is not None and before[0] is lost_flush and ended.code == ExitCode.DAMAGED:
            expected = (*expected, int(ExitCode.DAMAGED))
            restore(before[1])
        else:
            before = None
        _note(outcome, attempt, fault, ended, faults_of(ended, *expected))
        if ended.code == ExitCode.DONE:
            return True
        before = (fault, ended) if fault else before
    outcome.problems.append({"step": NAMES[attempt.number], "found": "the command never ends well"})
    return False


def expected_codes(fault: Fault | None, ended: Ended) -> tuple[int, ...]:
    """Exit codes that a command may have: one that the fault did not reach, or did not need, ends well."""
    if fault is None or not ended.reached:
        return (int(ExitCode.DONE),)
    return EXPECTED[fault] if fault in ENDING else (*EXPECTED[fault], int(ExitCode.DONE))


def restore(ended: Ended) -> None:
    """Put the file that lost its half back, as from a copy."""
    place = ended.stem.with_suffix(".cut")
    if place.exists():
        shutil.copyfile(ended.stem.with_suffix(".whole"), place.read_text())


def _note(outcome: Outcome, attempt: Attempt, fault: Fault | None, ended: Ended, wrong: list[str]) -> None:
    step, name = NAMES[attempt.number], name_of(fault) if fault else "afterwards"
    if fault is not None and ended.reached:
        outcome.hit.append(f"{name}: {step}")
    outcome.tracebacks += bool(innards(ended))
    outcome.refusals += ended.code not in (ExitCode.DONE, ExitCode.KILLED)
    if wrong:
        said = ended.said if innards(ended) else ended.errors
        outcome.problems.append({"step": step, "fault": name, "found": wrong, "said": said[-2000:]})
