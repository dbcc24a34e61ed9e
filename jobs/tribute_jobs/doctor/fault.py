"""What an examination finds: faults by subject, each with its remedy."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Repair:
    """A step that is safe: it deletes nothing that a statement rests on, and changes no recorded digest."""

    doing: str
    """What the step does, in words: a clause that begins with a verb."""
    do: Callable[[], object]


@dataclass(frozen=True)
class Fault:
    """One thing that a fault left behind.

    Attributes:
        what: the thing and what is wrong with it.
        remedy: what to do, the same for every fault of its kind.
        grave: whether the examination fails; else it is a note for the operator to judge.
        repair: what `tribute doctor --repair` does about it; None: nothing is safe.
    """

    what: str
    remedy: str
    grave: bool = True
    repair: Repair | None = None


@dataclass(frozen=True)
class Section:
    """A subject of the examination: its faults, and what to say where it has none."""

    name: str
    text: str
    faults: tuple[Fault, ...] = field(default=())
    warnings: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether no fault is grave."""
        return not any(fault.grave for fault in self.faults)
