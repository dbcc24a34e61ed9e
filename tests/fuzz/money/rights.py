"""A part of a project: who holds which part of which source in a month."""

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path

from tests.fuzz.chance import Chance
from tests.fuzz.money.files import OF_FILES, Cells, Spoil, again, last, renamed, write_table
from tests.fuzz.money.oracle import splits_by_day
from tests.fuzz.odd_ids import LOOK_ALIKES, UNPRINTABLE, canonical, drawn_ids
from tests.fuzz.part import Part, require
from tribute.royalty.terms import read_rights

FIRST, AFTER = date(2026, 10, 1), date(2026, 11, 1)


def _look_alike(rows: list[Cells]) -> None:
    """A source held in halves by two publishers that look alike."""
    one, other = LOOK_ALIKES[len(rows) % len(LOOK_ALIKES)]
    rows[-1] |= {"source_id": "of two", "publisher_id": one, "split": "1/2", "valid_from": "", "valid_to": ""}
    rows.append(rows[-1] | {"publisher_id": other})


FAULTS: dict[str, Spoil] = OF_FILES | {
    "publishers that look alike": _look_alike,
    "a row twice": again,
    "a misspelt column": renamed("split", "splt"),
    "a missing column": renamed("publisher_id", "note"),
    "a split of 0": last(split="0"),
    "a split in percent": last(split="50%"),
    "a split above 1": last(split="1.5"),
    "a split below 0": last(split="-1"),
    "a split with an exponent": last(split="1e-1"),
    "a split with a comma": last(split="0,5"),
    "a split over 0": last(split="1/0"),
    "a split with a mark": last(split="1_0"),
    "a split of full-width digits": last(split="１"),
    "splits that sum to less": last(split="1/7"),
    "no publisher": last(publisher_id=""),
    "an unprintable publisher": last(publisher_id=UNPRINTABLE["an escape"]),
    "a publisher turned around": last(publisher_id=UNPRINTABLE["a bidirectional override"]),
    "a publisher of 1,025 characters": last(publisher_id=UNPRINTABLE["1,025 characters"]),
    "an unprintable source": last(source_id=UNPRINTABLE["a NUL"]),
    "a week for a day": last(valid_from="2026-W40"),
    "a day with slashes": last(valid_from="2026/10/01"),
    "a day of no calendar": last(valid_from="2026-02-30"),
    "an end before the beginning": last(valid_from="2026-10-10", valid_to="2026-10-09"),
    "a right that ended": last(valid_to="2026-10-20"),
    "a right that begins late": last(valid_from="2026-10-02"),
    "a source without a right": last(source_id="another source"),
}


@dataclass
class Rights(Part):
    """A file of rights, and the sources of a corpus."""

    rows: list[Cells] = field(kw_only=True)
    sources: list[str] = field(kw_only=True)
    seed: int = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """Each publisher's part of each source is the mean over the days of the month."""
        rows = [dict(row) for row in self.rows]
        spoil = FAULTS[self.fault] if self.fault else None
        name = write_table(folder, "sources", rows, Chance(self.seed), spoil)
        found = read_rights(folder / name, None).period_splits(FIRST, AFTER, map(canonical, self.sources))
        expected = splits_by_day([_right(row) for row in self.rows], FIRST, AFTER)
        require(found == expected, f"splits {found}, expected {expected}")


def _right(row: Cells) -> tuple[str, str, Fraction, date | None, date | None]:
    begin, end = (date.fromisoformat(row[name]) if row[name] else None for name in ("valid_from", "valid_to"))
    return (
        canonical(row["source_id"]),
        canonical(row["publisher_id"]),
        Fraction(row["split"] or "1"),
        begin,
        end,
    )


def drawn_rights(chance: Chance, faulty: bool) -> Rights:
    """Rights of some sources over a month, which may be broken."""
    sources = drawn_ids(chance, chance.whole(1, 4), 0.6)
    publishers = drawn_ids(chance, chance.whole(2, 5), 0.4)
    rows: list[Cells] = []
    for source in sources:
        way = chance.mixed([(3, "one"), (3, "split"), (2, "handed over")])
        holders = chance.some(publishers, {"one": 1, "split": chance.whole(2, 4), "handed over": 2}[way])
        if way == "split":
            parts = chance.parts(chance.of([len(holders), 7, 100, 10**6]), len(holders))
            rows += [
                _row(source, who, _spelt(chance, part, sum(parts)))
                for who, part in zip(holders, parts, strict=True)
            ]
        elif way == "handed over":
            day = f"2026-10-{chance.whole(2, 31):02d}"
            rows += [_row(source, holders[0], "", end=day), _row(source, holders[1], "1", day, "2027-01-01")]
        else:
            begin, end = chance.of(["", "2026-10-01", "2020-02-29"]), chance.of(["", "2026-11-01"])
            rows.append(_row(source, holders[0], chance.of(["", "1", "1.0", "1/1"]), begin, end))
    fault = chance.of(FAULTS) if faulty else ""
    if fault:  # the last row is of one source alone, all month
        rows.append(_row("of its own", publishers[0], "1"))
        sources.append("of its own")
    return Rights([f"rights: {len(rows)} rows"], fault, rows=rows, sources=sources, seed=chance.whole(0, 2**30))


def _row(source: str, publisher: str, split: str, begin: str = "", end: str = "") -> Cells:
    return {"source_id": source, "publisher_id": publisher, "split": split, "valid_from": begin, "valid_to": end}


def _spelt(chance: Chance, part: int, total: int) -> str:
    """A part as a fraction, or as a decimal where that is exact."""
    decimal = f"{part / total:.6f}"
    exact = Fraction(decimal) == Fraction(part, total)
    return decimal.rstrip("0") if exact and chance.happens(0.5) and part < total else f"{part}/{total}"
