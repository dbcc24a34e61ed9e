"""Names that nobody asked for, and the known names nearest to them."""

import difflib
from collections.abc import Collection, Iterable

from tribute.ids import short

FREE = "note"
"""Columns whose name begins with this are for people."""
ALIKE = 0.65
"""Least part of the letters that a misspelt name shares with what was meant."""


def nearest_name(written: str, known: Collection[str]) -> str:
    """The remedy for an unknown name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(written.casefold(), known, 1, ALIKE)
    if near:
        return f"Did you mean {near[0]}?"
    contained = [name for name in known if written in name or name in written]
    return f"Did you mean {contained[0]}?" if len(contained) == 1 else f"Known here: {', '.join(known)}."


def unknown_columns(present: Iterable[str], known: Collection[str]) -> list[str]:
    """A problem for every column that is neither known nor a note."""
    return [
        f"unknown column {short(name)}. {nearest_name(name, known)} For a remark, let its name begin with {FREE}"
        for name in dict.fromkeys(present)
        if name not in known and not name.startswith(FREE)
    ]
