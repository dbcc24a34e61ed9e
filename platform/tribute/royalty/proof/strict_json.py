"""Reading a document whose bytes are to be trusted: strictly, and with the place of whatever is wrong."""

import json
import re
from collections import Counter
from decimal import Decimal
from typing import Any, NamedTuple

from tribute.errors import MoneyError
from tribute.royalty.exact.canonical import check_exact, encoded

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)


class Problem(NamedTuple):
    """A finding: where (`lines[3].amount_minor`, or `byte 812, lines[3].amount_minor`), and what."""

    place: str
    text: str


class Reading(NamedTuple):
    """What bytes hold: a problem if they are not canonical JSON, a document if they can be read all the same."""

    document: dict[str, Any] | None
    problem: Problem | None


def read_canonical(content: bytes) -> Reading:
    """Read canonical JSON: UTF-8, sorted keys, each once, no spaces, whole numbers only."""
    try:
        return _read(content)
    except UnicodeDecodeError as error:
        problem = Problem(place_of(content, error.start), "is not UTF-8 text")
    except json.JSONDecodeError as error:
        offset = len(error.doc[: error.pos].encode())
        problem = Problem(place_of(content, offset), f"is not JSON: {error.msg}")
    except RecursionError:
        problem = Problem("document", "is nested too deeply")
    except MoneyError as error:
        problem = Problem("document", f"holds what a statement cannot: {error}")
    except ValueError as error:  # an integer of thousands of digits
        problem = Problem("document", f"holds a number that cannot be read: {error}")
    return Reading(None, problem)


def _read(content: bytes) -> Reading:
    twice: list[str] = []
    inexact: list[Decimal] = []

    def number(text: str) -> Decimal:
        inexact.append(Decimal(text))
        return inexact[-1]

    document = json.loads(
        content.decode(),
        parse_float=number,
        parse_constant=number,
        object_pairs_hook=lambda pairs: _object(pairs, twice),
    )
    if not isinstance(document, dict):
        text = f"is a {type(document).__name__}, not an object. Give a statement or a bundle"
        return Reading(None, Problem("document", text))
    if inexact:
        check_exact(document)
    expected = encoded(document)
    return Reading(document, None if expected == content else _not_canonical(content, expected, twice))


def place_of(content: bytes, offset: int) -> str:
    """A byte offset, with the path of the value or key that stands there, as far as the text can be followed."""
    path: list[str | int | None] = []
    for token in _TOKEN.finditer(content):
        if token.start() > offset:
            break
        _step(path, token[0], within=token.end() > offset)
    return f"byte {offset}, {_written(path)}"


def _step(path: list[str | int | None], token: bytes, within: bool) -> None:
    """One token further; a path ends in an index within a list, in a key or None (no key yet) within an object."""
    if token in (b"{", b"["):
        if not within:
            path.append(None if token == b"{" else 0)
    elif token in (b"}", b"]"):
        del path[-1:]
    elif token == b"," and path and not within:
        path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
    elif path and path[-1] is None and token != b":":
        path[-1] = token.strip(b'"').decode(errors="replace")


def _written(path: list[str | int | None]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path if step is not None)
    return "".join(steps).removeprefix(".") or "document"


def _object(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice += [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    return found


def _not_canonical(content: bytes, expected: bytes, twice: list[str]) -> Problem:
    shorter = min(len(content), len(expected))
    offset = next((at for at in range(shorter) if content[at] != expected[at]), shorter)
    what = f"the key {twice[0]!r} stands twice" if twice else "is not canonical JSON (sorted keys, no spaces)"
    return Problem(place_of(content, offset), f"{what}; expected {expected[offset : offset + 40]!r} here")
