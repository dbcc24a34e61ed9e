"""Repair of what is safe: what a command makes again, what nothing names, and what points to another place."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from tribute.errors import TributeError
from tribute_jobs.doctor.fault import Section
from tribute_jobs.doctor.printing import kinds
from tribute_jobs.printing import copyable, styled, terminal
from tribute_storage import LakeError


class Done(NamedTuple):
    """A step of a repair and why it failed, None if it did not; or no step, and a fault that none mends."""

    doing: str | None
    problem: str | None


def planned(sections: Sequence[Section]) -> list[str]:
    """What a repair would do, in order."""
    return [fault.repair.doing for section in sections for fault in section.faults if fault.repair is not None]


def repair(sections: Sequence[Section]) -> list[Done]:
    """Do every safe step; one that fails stops none of the others.

    A step deletes what a command makes again to the same bytes and what no record names, or lets a record name the
    place where its file is. It deletes nothing that a statement rests on, and changes no recorded digest. Only the
    holder of the working folder's lock may call this.
    """
    steps = [fault.repair for section in sections for fault in section.faults if fault.repair is not None]
    done = []
    for step in steps:
        try:
            step.do()
            done.append(Done(step.doing, None))
        except (OSError, TributeError, LakeError) as error:
            done.append(Done(step.doing, str(error)))
    return done


def unmended(sections: Sequence[Section]) -> list[Done]:
    """The faults for which no step is safe: a text of each kind, with its remedy."""
    left = [fault for section in sections for fault in section.faults if fault.grave and fault.repair is None]
    return [Done(None, text) for text in kinds(left)]


def print_done(done: Sequence[Done], as_json: bool) -> None:
    """A line per step and per fault that is left, or a JSON list."""
    done = [Done(*(text and copyable(text) for text in each)) for each in done]
    if as_json:
        print(json.dumps([each._asdict() for each in done], indent=2))
        return
    if not done:
        print("  Nothing to repair.")
    console = terminal()
    for each in done:
        mark = ("done", "green") if each.problem is None else ("BAD ", "red")
        first, *more = ": ".join(filter(None, each)).split("\n")
        console.print(styled("  ", mark, f" {first}"), soft_wrap=True)
        for line in more:
            console.print(styled(f"{'':<7}{line.strip()}"), soft_wrap=True)
