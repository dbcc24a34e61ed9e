"""Text of unknown origin on a terminal, and tables that never lose who gets what."""

import shlex
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tribute.royalty.exact.text import printable

__all__ = ["WIDTH", "Heading", "copyable", "print_table", "printable", "styled", "terminal", "wrapped"]

WIDTH = 100
PIPED = 100_000
"""Columns of a file or a pipe: nothing is folded there."""
PLACEHOLDER = "PROJECT.yaml"
"""What a remedy calls the project file."""
NARROWEST = 20
"""Columns that the first column of a table keeps, before others are left out."""
PADDING = 2


class Heading(NamedTuple):
    """A column of a table.

    `spare`: columns of the largest number are left out first where room is short; None: it is never left out.
    """

    text: str
    right: bool = True
    spare: int | None = None


class _Output(Console):
    """A console that does not end the process where nobody reads any more, but says so to its caller."""

    def on_broken_pipe(self) -> None:
        """Raise what rich caught."""
        raise BrokenPipeError


def terminal(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Standard output, or standard error: as wide as its window, and without limit where it is a pipe or a file.

    What is printed is never read as markup or emoji codes; styles come from `styled` or `style=`.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED
    return _Output(stderr=stderr, quiet=quiet, width=width, markup=False, emoji=False, highlight=False)


def styled(*parts: str | tuple[str, str]) -> Text:
    """A line of plain text and (text, style) pairs; an id in it is printed to the letter, on this line."""
    return Text.assemble(*(printable(p) if isinstance(p, str) else (printable(p[0]), p[1]) for p in parts))


def copyable(text: str) -> str:
    """A text whose commands name the project file of this command line, so that they can be copied."""
    words = (word.rpartition("=")[2] for word in sys.argv[1:])
    file = next((word for word in words if word.endswith((".yaml", ".yml"))), PLACEHOLDER)
    return text.replace(PLACEHOLDER, shlex.quote(file))


def print_table(
    console: Console,
    headings: Sequence[Heading],
    rows: Sequence[Sequence[str]],
    title: str | None = None,
    sums: Sequence[Sequence[str]] = (),
) -> None:
    """A table whose first column says who or what. Only that one is folded.

    Where room is short, spare columns are left out, and named; where that is not enough, every row becomes lines
    of a heading and a cell.
    """
    headings = [each._replace(text="\n".join(map(printable, each.text.split("\n")))) for each in headings]
    title = title and printable(title)
    every = [[printable(cell) for cell in row] for row in (*rows, *sums)]
    widths = [max(map(_width, (heading.text, *cells))) for heading, *cells in zip(headings, *every, strict=True)]
    kept = _fitting(headings, widths, console.width)
    if kept is None:
        _print_lines(console, headings, every, title)
        return
    table = Table(title=title and Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index in kept:
        heading = headings[index]
        table.add_column(
            Text(heading.text),
            justify="right" if heading.right and index else "left",
            no_wrap=index > 0,
            overflow="fold",
        )
    for number, row in enumerate(every):
        if number == len(rows):
            table.add_section()
        table.add_row(*(Text(row[index]) for index in kept))
    console.print(table)
    left_out = [heading.text.replace("\n", " ") for index, heading in enumerate(headings) if index not in kept]
    if left_out:
        named = ", ".join(left_out)
        console.print(
            Text(f"  Left out for want of room: {named}. A wider window shows it, or | cat"),
            style="dim",
        )


def _width(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _fitting(headings: Sequence[Heading], widths: Sequence[int], room: int) -> list[int] | None:
    """The columns to show; None: not even those that may not be left out have room."""
    kept = list(range(len(headings)))

    def needed() -> int:
        return min(widths[0], NARROWEST) + sum(widths[index] for index in kept[1:]) + PADDING * len(kept) + 1

    while needed() > room:
        spare = [(headings[index].spare, index) for index in kept if headings[index].spare is not None]
        if not spare:
            return None
        kept.remove(max(spare)[1])
    return kept


def _print_lines(
    console: Console, headings: Sequence[Heading], rows: Iterable[Sequence[str]], title: str | None
) -> None:
    names = [heading.text.replace("\n", " ") for heading in headings]
    widest = max(map(cell_len, names))
    lines = [title] if title else []
    for row in rows:
        lines += ["", *(f"{name:<{widest}}  {cell}" for name, cell in zip(names, row, strict=True) if cell)]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def wrapped(text: str, indent: str = "  ") -> Iterable[str]:
    """A paragraph in lines that fit a terminal. Ids are not broken."""
    return textwrap.wrap(
        printable(copyable(text)),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
