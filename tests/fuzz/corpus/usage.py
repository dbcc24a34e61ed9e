"""A part of a project: the uses of its model in a month, read from files."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.chance import Chance
from tests.fuzz.corpus.texts import encoded, parquet, prose
from tests.fuzz.odd_ids import UNPRINTABLE, canonical, drawn_ids
from tests.fuzz.part import Part, require
from tribute.catalog import period_queries
from tribute.config import load_project

MONTH = "2026-10"
Row = dict[str, Any]


def _last(**cells: object) -> Callable[[list[Row]], str]:
    return lambda rows: "\n".join(map(json.dumps, [*rows[:-1], rows[-1] | cells]))


def _line(write: Callable[[Row], str]) -> Callable[[list[Row]], str]:
    return lambda rows: "\n".join([*map(json.dumps, rows[:-1]), write(rows[-1])])


def _lacking(column: str) -> Callable[[list[Row]], str]:
    return _line(lambda row: json.dumps({name: value for name, value in row.items() if name != column}))


FAULTS: dict[str, Callable[[list[Row]], str]] = {
    "an id twice": lambda rows: "\n".join(map(json.dumps, [*rows, rows[0]])),
    "a key twice": _line(lambda row: f'{json.dumps(row)[:-1]}, "weight": 2, "weight": 3}}'),
    "no time": _line(lambda r: json.dumps({n: v for n, v in r.items() if n not in ("time", "period")})),
    "no id": _lacking("query_id"),
    "no text": _lacking("text"),
    "an unknown column": _last(wieght=2),
    "an unprintable id": _last(query_id=UNPRINTABLE["a line feed"]),
    "an unprintable customer": _last(customer_id=UNPRINTABLE["a bidirectional override"]),
    "an id that is a number": _last(query_id=7),
    "a time without an offset": _last(time="2026-10-05T12:00:00"),
    "a time that is none": _last(time="yesterday"),
    "a day that is none": _last(time="2026-02-30T12:00:00Z"),
    "a leap second": _last(time="2026-10-05T23:59:60Z"),
    "hour 24": _last(time="2026-10-05T24:00:00Z"),
    "a time that is a number": _last(time=1_790_000_000),
    "a period of another month than the time": _last(time="2026-10-05T12:00:00Z", period="2026-09"),
    "a period that is none": _last(period="2026-W40"),
    "a negative weight": _last(weight=-1),
    "a weight that is text": _last(weight="many"),
    "a tiny weight": _last(weight=4e-14),
    "a huge weight": _last(weight=1e27),
    "a weight that is true": _last(weight=True),
    "an infinite weight": _line(lambda row: json.dumps(row)[:-1] + ', "weight": 1e999}'),
    "NaN": _line(lambda row: json.dumps(row)[:-1] + ', "weight": NaN}'),
    "a probability of 0": _last(inclusion_probability=0),
    "a probability above 1": _last(inclusion_probability=1.5),
    "chat messages": _last(text=[{"role": "user", "content": "a private question " * 30}]),
    "a text of one byte": _last(text="x"),
    "a row that is no object": _line(lambda _: "[1, 2]"),
    "a cut row": _line(lambda row: json.dumps(row)[:-5]),
}


@dataclass
class Usage(Part):
    """Uses of a text model.

    Attributes:
        rows: as written.
        expected: id, weight, customer and UTC month of each use.
    """

    form: str = field(kw_only=True)
    rows: list[Row] = field(kw_only=True)
    expected: list[tuple[str, float, str | None, str]] = field(kw_only=True)
    files: int = field(kw_only=True)
    seed: int = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """The uses of the month are found, with their weights, sorted by id, and no others."""
        names = self._write(folder)
        pattern = "uses-*" if self.files > 1 and self.seed % 2 else names
        queries = {"kind": "usage", "path": pattern if isinstance(pattern, str) or len(names) > 1 else names[0]}
        project = {"name": "drawn", "corpus": {"kind": "text", "path": "corpus", "window": 17}, "queries": queries}
        (folder / "project.yaml").write_text(yaml.safe_dump(project))
        table = period_queries(load_project(folder / "project.yaml"), MONTH)
        own = sorted(each[:3] for each in self.expected if each[3] == MONTH)
        found = list(zip(table.query_ids, table.weights.tolist(), table.customers, strict=True))
        require(found == own, f"uses {found[:4]}, expected {own[:4]}")
        texts = {canonical(row["query_id"]): row["text"].encode() for row in self.rows}
        for index, name in enumerate(table.query_ids):
            tokens = table.rows["tokens"][table.row_query == index]
            text = texts[name]
            read = b"".join(
                bytes(row[row >= 0].tolist())[1 if number else 0 :] for number, row in enumerate(tokens)
            )
            require(read == text, f"use {name[:40]!r} has another text: {read[:40]!r}, not {text[:40]!r}")

    def _write(self, folder: Path) -> list[str]:
        names = []
        for number in range(self.files):
            chance, rows = Chance(self.seed, number), self.rows[number :: self.files]
            path = folder / f"uses-{number}.{self.form}"
            names.append(path.name)
            if self.form == "parquet":
                parquet(path, chance, rows)
                continue
            last = self.fault and number == self.files - 1
            content = encoded(chance, FAULTS[self.fault](rows) if last else "\n".join(map(json.dumps, rows)))
            path.write_bytes(gzip.compress(content) if self.form.endswith("gz") else content)
        return names


def drawn_usage(chance: Chance, faulty: bool) -> Usage:
    """Uses around the borders of a month, which may be broken."""
    ids = drawn_ids(chance, chance.whole(3, 14), 0.5)
    customers = [None, *drawn_ids(chance, 3, 0.3)]
    form = "jsonl" if faulty else chance.mixed([(4, "jsonl"), (1, "jsonl.gz"), (1, "ndjson"), (2, "parquet")])
    rows, expected = [], []
    for name in ids:
        moment = _moment(chance)
        weight = chance.of([1.0, 3.0, 0.25, 1e-4, 1e9, 0.0])
        customer = chance.of(customers)
        row: Row = {"query_id": name, "text": prose(chance, chance.whole(3, 90))}
        if chance.happens(0.15):
            row |= {"period": f"{moment.astimezone(UTC):%Y-%m}", "time": None}
        else:
            row |= {"time": _spelt(chance, moment), "period": None}
        row |= {"weight": weight, "customer_id": customer}
        if form != "parquet":
            row = {key: value for key, value in row.items() if value is not None}
            if weight == 1.0 and chance.happens(0.5):
                del row["weight"]
            elif weight == 0.25 and chance.happens(0.5):
                row["weight"] = chance.of(["0.25", "1/4"])
        month = f"{moment.astimezone(UTC):%Y-%m}"
        kept = canonical(customer) if customer is not None else None
        expected.append((canonical(name), float(Fraction(weight)), kept, month))
        rows.append(row)
    return Usage(
        [f"usage: {form}"],
        chance.of(FAULTS) if faulty else "",
        [row["text"] for row in rows],
        form=form,
        rows=rows,
        expected=expected,
        files=1 if faulty else chance.of([1, 1, 2]),
        seed=chance.whole(0, 2**30),
    )


def _moment(chance: Chance) -> datetime:
    """A moment near the beginning or the end of the month, or in it, in some zone."""
    start = datetime(2026, 10, 1, tzinfo=UTC)
    border = chance.of([start, datetime(2026, 11, 1, tzinfo=UTC)])
    shifted = border + timedelta(seconds=chance.of([-1, 0, 1, 3600, -3600]))
    moment = chance.of([shifted, start + timedelta(minutes=chance.whole(0, 44_000))])
    return moment.astimezone(timezone(timedelta(minutes=chance.of([0, 0, 120, -330, 845]))))


def _spelt(chance: Chance, moment: datetime) -> str:
    """A moment as RFC 3339 allows it."""
    if chance.happens(0.4):
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + chance.of(
            ["Z", "z", "+00:00", ".000Z", ".999999Z"]
        )
    text = moment.isoformat()
    return chance.of([text, text.replace("T", " "), text.replace("T", "t")])
