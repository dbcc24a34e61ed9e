"""The base class of results: rows under a title that print, show in a notebook and become pandas or Arrow."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas

SHOWN = 20
"""Rows that are printed; a result with more says how many are left out."""

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
        names = list(cells[0]) if cells else []
        width = {name: max(len(name), *(len(row[name]) for row in cells)) for name in names}
        lines = [dict(zip(names, names, strict=True)), *cells]
        body = [
            "  ".join(_aligned(line[name], width[name], first=name == names[0]) for name in names)
            for line in lines
        ]
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


def _aligned(text: str, width: int, *, first: bool) -> str:
    return text.ljust(width) if first else text.rjust(width)
