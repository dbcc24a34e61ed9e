"""The base class of results: rows under a title that print, show in a notebook and become pandas or Arrow."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pyarrow as pa

from tribute.royalty.exact.text import short

if TYPE_CHECKING:
    import pandas

SHOWN = 20
"""Rows that are printed; a result with more says how many are left out."""

COLUMNS, MIN_ID, MAX_HEADING = 80, 12, 20
"""Characters: of a printed row, of an id that is cut to fit, and of a heading."""

Row = dict[str, object]


class Result(ABC):
    """Rows under a title. Printing shows the first of them."""

    @property
    @abstractmethod
    def title(self) -> str:
        """One line on what the rows are."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """The rows, as numbers."""

    def cells(self) -> list[dict[str, str]]:
        """The rows, as text."""
        return [{name: _text(value) for name, value in row.items()} for row in self.rows()]

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return pa.Table.from_pylist(self.rows())

    def to_pandas(self) -> "pandas.DataFrame":
        """The rows as a data frame."""
        return self.to_arrow().to_pandas()

    def __str__(self) -> str:
        cells, more = _shown(self.cells())
        lines = _fitted(cells) if cells else []
        width = [max(map(len, column)) for column in zip(*lines, strict=True)]
        body = ["  ".join([line[0].ljust(width[0]), *map(str.rjust, line[1:], width[1:])]) for line in lines]
        return "\n".join([self.title, *(line.rstrip() for line in body), *more])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        cells, more = _shown(self.cells())
        head = "".join(f"<th>{escape(name)}</th>" for name in (cells[0] if cells else {}))
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row.values()) + "</tr>" for row in cells
        )
        caption = escape("; ".join([self.title, *more]))
        return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def number(value: object) -> float:
    """A cell that holds a number."""
    assert isinstance(value, int | float)
    return float(value)


def percent(part: float) -> str:
    """A part of 1 as people read it."""
    return f"{part:.2%}"


def _shown(cells: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], list[str]]:
    left = len(cells) - SHOWN
    return list(cells[:SHOWN]), [f"... and {left:,} more rows"] if left > 0 else []


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _fitted(cells: Sequence[dict[str, str]]) -> list[list[str]]:
    """Headings and cells, with long ids cut in the middle, so that a terminal breaks no row if that can do it."""
    headings = [short(name, MAX_HEADING) for name in cells[0]]
    lines = [headings, *(list(row.values()) for row in cells)]
    others = sum(2 + max(map(len, column)) for column in list(zip(*lines, strict=True))[1:])
    room = max(COLUMNS - others, MIN_ID)
    return [[short(line[0], room), *line[1:]] for line in lines]
