"""Reads a tab-separated period report back, and refuses one that is cut off or not understood."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tribute.errors import MoneyError
from tribute.royalty.render.tsv_period import COLUMNS, MULTIPLE, Fields

_TOKEN = re.compile(r"\\(.)|(\|)|([^\\|]+)", re.DOTALL)
_PLAIN = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", "|": "|"}


class TsvRecord(NamedTuple):
    """A record's type and its cells by column; columns of several values hold lists."""

    kind: str
    fields: Fields


def read_tsv(text: str) -> list[TsvRecord]:
    """Every record of a report, from RHEA to RFOO, after checking its form and its counts.

    Raises:
        MoneyError: names the line that is not as it should be, or the count that does not hold.
    """
    if not text.endswith("\n"):
        raise _broken("the last line has no end")
    lines = text[:-1].split("\n")
    records = [_record(number, line) for number, line in enumerate(lines, 1) if not _is_heading(number, line)]
    kinds = [record.kind for record in records]
    if not records or kinds[0] != "RHEA" or kinds[-1] != "RFOO" or kinds.count("RHEA") + kinds.count("RFOO") != 2:
        raise _broken("it must begin with one RHEA record and end with one RFOO record")
    _check_counts(records, len(lines))
    _check_references(records)
    return records


def _is_heading(number: int, line: str) -> bool:
    if not line.startswith("#"):
        return False
    if line[1:].split("\t") not in [list(columns) for columns in COLUMNS.values()]:
        raise _broken(f"line {number} names columns that no record has")
    return True


def _record(number: int, line: str) -> TsvRecord:
    kind, *cells = line.split("\t")
    columns = COLUMNS.get(kind)
    if columns is None:
        raise _broken(f"line {number} is of the unknown record type {kind!r}")
    if len(cells) != len(columns) - 1:
        raise _broken(f"line {number} has {len(cells) + 1} cells, {kind} has {len(columns)}")
    values = [_values(number, cell) for cell in cells]
    fields: Fields = {}
    for column, each in zip(columns[1:], values, strict=True):
        if column in MULTIPLE:
            fields[column] = each
        elif len(each) != 1:
            raise _broken(f"line {number} has {len(each)} values of {column}, which takes one")
        else:
            fields[column] = each[0]
    return TsvRecord(kind, fields)


def _values(number: int, cell: str) -> list[str]:
    values, end = [""], 0
    for token in _TOKEN.finditer(cell):
        escaped, bar, plain = token.groups()
        if token.start() != end or (escaped and escaped not in _PLAIN):
            raise _broken(f"line {number} has a backslash that escapes nothing")
        end = token.end()
        if bar:
            values.append("")
        else:
            values[-1] += _PLAIN[escaped] if escaped else plain
    if end != len(cell):
        raise _broken(f"line {number} has a backslash that escapes nothing")
    return values


def _check_counts(records: Sequence[TsvRecord], lines: int) -> None:
    head, foot = records[0].fields, records[-1].fields
    summaries = sum(record.kind == "SRS1" for record in records)
    counted = {
        "NumberOfLinesInFile": lines, "NumberOfLinesInReport": lines, "NumberOfSummaryRecords": summaries,
        "NumberOfDetailRecords": sum(record.kind.startswith("RD") for record in records),
        "NumberOfBlocksInFile": summaries, "NumberOfBlocksInReport": summaries,
    }  # fmt: skip
    for name, count in counted.items():
        if foot[name] != str(count) or head.get(name, str(count)) != str(count):
            raise _broken(f"{name} is {count}, the head or foot says {head.get(name, foot[name])} or {foot[name]}")


def _check_references(records: Sequence[TsvRecord]) -> None:
    """Details follow the summary that they belong to, and no id comes twice."""
    seen: set[str] = set()
    summary = ""
    for kind, fields in records[1:-1]:
        identity = str(fields["RecordId"])
        if identity in seen:
            raise _broken(f"record {identity} comes twice")
        seen.add(identity)
        if kind == "SRS1":
            summary = identity
        elif fields["AllocatedPartySummaryRecordId"] != summary:
            raise _broken(f"record {identity} does not stand under its summary")


def _broken(problem: str) -> MoneyError:
    return MoneyError(f"This period report cannot be trusted: {problem}. Ask its sender for the whole file")
