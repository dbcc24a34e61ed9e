"""Text of unknown origin on a terminal."""

import textwrap
from collections.abc import Iterable

from tribute.royalty.exact.text import printable

__all__ = ["WIDTH", "printable", "wrapped"]

WIDTH = 100


def wrapped(text: str, indent: str = "  ") -> Iterable[str]:
    """A paragraph in lines that fit a terminal. Ids are not broken."""
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
