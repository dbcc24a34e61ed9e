"""Text of unknown origin on a terminal."""

import textwrap
from collections.abc import Iterable

WIDTH = 100


def printable(text: object) -> str:
    """Text on one line, without control or text-direction characters, which could hide what it says."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def wrapped(text: str, indent: str = "  ") -> Iterable[str]:
    """A paragraph in lines that fit a terminal; ids stay whole."""
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
