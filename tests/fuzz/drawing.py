"""A seed draws one small project: its parts, and at most one thing that is wrong with it."""

from collections.abc import Callable, Collection, Iterator

from tests.fuzz.chance import Chance
from tests.fuzz.command_line import drawn_month
from tests.fuzz.corpus.arrays import drawn_arrays
from tests.fuzz.corpus.corpora import drawn_corpus
from tests.fuzz.corpus.usage import drawn_usage
from tests.fuzz.money.accounts import drawn_accounts
from tests.fuzz.money.rights import drawn_rights
from tests.fuzz.money.settings import drawn_settings
from tests.fuzz.part import Part
from tests.fuzz.study.adopted import drawn_checkpoint
from tests.fuzz.study.recorded import drawn_recorded
from tests.fuzz.study.trained import drawn_trained

FAULTY = 0.23
"""Part of the projects with something wrong in their input."""

WHOLE, EVERY = "whole month", 100
"""A part that takes a minute, and how many seeds have one of it."""

Draw = Callable[[Chance, bool], Part]


def _one_of(*options: tuple[float, Draw]) -> Draw:
    return lambda chance, faulty: chance.mixed(options)(chance, faulty)


PARTS: dict[str, tuple[float, Draw]] = {
    "study": (4, _one_of((5, drawn_trained), (2, drawn_checkpoint), (2, drawn_recorded))),
    "corpus": (2.5, _one_of((3, drawn_corpus), (1, drawn_arrays))),
    "usage": (1, drawn_usage),
    "rights": (1, drawn_rights),
    "settings": (1.5, drawn_settings),
    "accounts": (1, drawn_accounts),
}
"""The parts of a project, with the weights by which the one at fault is drawn."""


def faulty_part(seed: int) -> str:
    """The part in which something is wrong; empty: all is right."""
    chance = Chance(seed)
    if not chance.happens(FAULTY):
        return ""
    weighted = [(weight, name) for name, (weight, _) in PARTS.items()]
    return WHOLE if seed % EVERY == EVERY - 1 else chance.mixed(weighted)


def drawn_parts(seed: int, only: Collection[str] = tuple(PARTS)) -> Iterator[tuple[str, Part]]:
    """The parts of a seed's project, or some of them; each is the same whatever others are drawn.

    The project of one seed in `EVERY` is a whole month of the command line instead.
    """
    if seed % EVERY == EVERY - 1:
        yield WHOLE, drawn_month(Chance(seed), faulty_part(seed) == WHOLE)
        return
    for number, (name, (_, draw)) in enumerate(PARTS.items(), 1):
        if name in only:
            yield name, draw(Chance(seed, number), name == faulty_part(seed))
