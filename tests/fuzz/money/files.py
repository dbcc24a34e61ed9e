"""Files of rights, agreements and fees, as CSV, YAML or Parquet; and a way to spoil one."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.chance import Chance

Cells = dict[str, str]
Spoil = Callable[[list[Cells]], "str | bytes | None"]
"""Changes rows in place, or gives the content of the file (CSV) instead."""


def csv_text(rows: Sequence[Cells], ends: str = "\n") -> str:
    """Rows as CSV, cells with commas, quotes or line feeds quoted."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator=ends)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_table(folder: Path, name: str, rows: list[Cells], chance: Chance, spoil: Spoil | None = None) -> str:
    """Write rows in a drawn format; the name of the file. A spoilt file is CSV."""
    if spoil is not None:
        content = spoil(rows)
        text = csv_text(rows) if content is None else content
        path = folder / f"{name}.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path.name
    if chance.happens(0.3):
        rows = [row | {"note on it": "for people: =1+1, \u202e"} for row in rows]
    form = chance.of(["csv", "csv", "yaml", "parquet"])
    path = folder / f"{name}.{form}"
    if form == "csv":
        text = csv_text(rows, chance.of(["\n", "\r\n"]))
        path.write_bytes(text.encode(chance.of(["utf-8", "utf-8-sig"])))
    elif form == "yaml":
        path.write_text("".join(_yaml_row(row) for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.table({name: [row[name] or None for row in rows] for name in rows[0]}), path)
    return path.name


def _yaml_row(row: Cells) -> str:
    lines = [f"{json.dumps(name)}: {_yaml_cell(value)}" for name, value in row.items()]
    return "- " + "\n  ".join(lines) + "\n"


def _yaml_cell(value: str) -> str:
    plain = value and all(each.isascii() and (each.isalnum() or each in "./-") for each in value)
    return value if plain and value != "null" and not value.startswith("-") else json.dumps(value)


def last(**cells: str) -> Spoil:
    """Other cells in the last row."""

    def spoil(rows: list[Cells]) -> None:
        rows[-1].update({name.replace("__", " "): value for name, value in cells.items()})

    return spoil


def again(rows: list[Cells]) -> None:
    """The last row a second time."""
    rows.append(dict(rows[-1]))


def renamed(old: str, new: str) -> Spoil:
    """A column under another name."""

    def spoil(rows: list[Cells]) -> None:
        rows[:] = [{new if name == old else name: value for name, value in row.items()} for row in rows]

    return spoil


def text(change: Callable[[str], str | bytes]) -> Spoil:
    """The whole file written in another way."""
    return lambda rows: change(csv_text(rows))


OF_FILES: dict[str, Spoil] = {
    "a row with a cell too few": text(lambda content: content.rstrip("\n").rpartition(",")[0] + "\n"),
    "a row with a cell too many": text(lambda content: content.rstrip("\n") + ",more\n"),
    "semicolons": text(lambda content: content.replace(",", ";")),
    "tabs": text(lambda content: content.replace(",", "\t")),
    "sep=,": text(lambda content: "sep=,\n" + content),
    "no rows": text(lambda content: content.split("\n")[0] + "\n"),
    "nothing at all": lambda _: "",
    "another encoding": text(lambda content: content.encode() + "é,é\n".encode("latin-1")),
    "an open quote": text(lambda content: content + '"open,'),
    "an unknown column": text(
        lambda content: "\n".join(
            line + (",valid_until" if not place else ",")
            for place, line in enumerate(content.rstrip("\n").split("\n"))
        )
    ),
    "a column without a name": text(
        lambda content: "\n".join(line + "," for line in content.rstrip("\n").split("\n"))
    ),
    "a column twice": text(
        lambda content: "\n".join(f"{line},{line.split(',')[-1]}" for line in content.rstrip("\n").split("\n"))
    ),
}
"""What may be wrong with a file of any kind."""
