"""How a draw ends: right, refused, wrong, with a traceback, or with something written outside its folder."""

import tempfile
import traceback
import unicodedata
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.drawing import PARTS, drawn_parts
from tests.fuzz.part import LONGEST_EXCERPT, Part, Wrong, require
from tribute.errors import TributeError
from tribute_storage.errors import LakeError

ENDS = ("right", "refused", "wrong", "tracebacks", "outside_folder")
DEEP = Path("1/2/3/4/5/6/project")
"""Where a project lies, so that ids with many `../` still lead to a folder that is looked at."""
SHORTEST_MESSAGE = 15
_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@dataclass
class Outcome:
    """How a seed ended; `failures`: part, end, and what was found."""

    seed: int
    end: str
    kinds: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)


def judged(seed: int, only: Collection[str] = tuple(PARTS)) -> Outcome:
    """Run the parts of a seed's project, and judge each; the worst of them is the end of all."""
    outcome = Outcome(seed, "right")
    for name, part in drawn_parts(seed, only):
        with tempfile.TemporaryDirectory(prefix="tribute-fuzz-") as root:
            end, found = judged_part(part, Path(root))
        outcome.kinds += part.kinds
        outcome.faults += [f"{name}: {part.fault}"] if part.fault else []
        outcome.end = max(outcome.end, end, key=ENDS.index)
        if ENDS.index(end) > 1:
            outcome.failures.append({"part": name, "fault": part.fault, "end": end, "found": found})
    return outcome


def judged_part(part: Part, root: Path) -> tuple[str, str]:
    """The end of one part, and what was found."""
    folder = root / DEEP
    folder.mkdir(parents=True)
    before = set(_outside(root, folder))
    end, found = _ended(part, folder)
    strays = sorted({*_outside(root, folder)} - before)
    return ("outside_folder", f"written outside: {strays}; {found}") if strays else (end, found)


def _ended(part: Part, folder: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part.check(folder)
        require(not part.fault, f"accepted, but it has a fault: {part.fault}")
    except (TributeError, LakeError) as error:
        try:
            require(part.fault, f"right input is refused: {error}")
            _check_message(str(error), part)
        except Wrong as wrong:
            return "wrong", str(wrong)
        return "refused", str(error)
    except Wrong as wrong:
        return "wrong", str(wrong)
    except Exception:  # whatever the product lets through
        return "tracebacks", traceback.format_exc(limit=-8)
    return "right", ""


def _check_message(message: str, part: Part) -> None:
    """A refusal names something, sends nothing to the terminal, and shows little of anybody's text.

    Raises:
        Wrong: it does not.
    """
    require(len(message) >= SHORTEST_MESSAGE, f"a refusal says nothing: {message!r}")
    wild = [each for each in message if (unicodedata.category(each) == "Cc" and each != "\n") or each in _TURNS]
    require(not wild, f"a refusal holds {wild[:3]}: {message!r}")
    for text in part.private:
        for place in range(len(text) - LONGEST_EXCERPT):
            shown = text[place : place + LONGEST_EXCERPT + 1]
            require(
                shown not in message, f"a refusal shows more than {LONGEST_EXCERPT} characters: {message[:400]}"
            )


def _outside(root: Path, folder: Path) -> Iterator[str]:
    """All that lies below a root, but not in a folder."""
    for path in root.rglob("*"):
        if path != folder and not path.is_relative_to(folder):
            yield str(path.relative_to(root))
