"""The sources file and the publishers file: read, and checked row by row."""

import difflib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from tribute.errors import RightsError
from tribute.files.records import FileRow, raise_if_any, read_records
from tribute.ids import short
from tribute.royalty.terms.cells import day_cell, id_cell, part_cell, text_cell
from tribute.royalty.terms.licences import COLUMNS as TERMS
from tribute.royalty.terms.rights import Publisher, Right, RightsBook

Row = TypeVar("Row", Publisher, Right)


def read_rights(sources_file: Path, publishers_file: Path | None) -> RightsBook:
    """Read who holds which part of which source, and check every row.

    Args:
        sources_file: CSV, YAML (list of mappings) or Parquet with `source_id`, `publisher_id` and, optionally,
            `split` (text: 1, 0.5 or 1/3; default 1), `valid_from` and `valid_to` (exclusive).
        publishers_file: the same formats with `publisher_id` and `name`. Without it, ids are names.

    Raises:
        RightsError: names file, row and column of every problem.
    """
    publishers = [] if publishers_file is None else _read_publishers(publishers_file)
    known = [publisher.publisher_id for publisher in publishers]

    def right(record: FileRow) -> Right:
        return _right(record, known, publishers_file)

    records = read_records(sources_file, ("source_id", "publisher_id"), ("split", "valid_from", "valid_to"), TERMS)
    rights = _checked(
        sources_file, records, right, lambda r: (r.source_id, r.publisher_id, r.valid_from, r.valid_to)
    )
    if publishers_file is None:
        publishers = [Publisher(name, name) for name in sorted({right.publisher_id for right in rights})]
    return RightsBook(tuple(rights), tuple(publishers), str(sources_file))


def _read_publishers(path: Path) -> list[Publisher]:
    records = read_records(path, ("publisher_id", "name"), ())

    def publisher(record: FileRow) -> Publisher:
        return Publisher(id_cell(record, "publisher_id"), text_cell(record, "name"))

    return _checked(path, records, publisher, lambda p: (p.publisher_id,))


def _checked(
    path: Path, records: Sequence[FileRow], parse: Callable[[FileRow], Row], key: Callable[[Row], tuple[Any, ...]]
) -> list[Row]:
    """Every row parsed; all bad and repeated rows in one error."""
    rows: list[Row] = []
    seen: dict[tuple[Any, ...], str] = {}
    problems: list[str] = []
    for record in records:
        try:
            row = parse(record)
        except RightsError as problem:
            problems.append(f"{record.where}, {problem}")
            continue
        before = seen.setdefault(key(row), record.where)
        if before != record.where:
            problems.append(f"{record.where} repeats {before}. Remove one of the two")
        rows.append(row)
    raise_if_any(f"{path} cannot be used:", problems)
    return rows


def _right(record: FileRow, known: Sequence[str], publishers_file: Path | None) -> Right:
    publisher_id = id_cell(record, "publisher_id")
    if publishers_file is not None and publisher_id not in known:
        near = difflib.get_close_matches(publisher_id, known, n=3)
        hint = f"Did you mean {' or '.join(map(short, near))}?" if near else f"Add it to {publishers_file}"
        raise RightsError(f"column publisher_id: {short(publisher_id)} is not in {publishers_file.name}. {hint}")
    begin, end = day_cell(record, "valid_from"), day_cell(record, "valid_to")
    if begin and end and end <= begin:
        raise RightsError(
            f"column valid_to: {end} is not after valid_from {begin}. valid_to is the first day without the right"
        )
    return Right(id_cell(record, "source_id"), publisher_id, _split(record), begin, end, record.where)


def _split(record: FileRow) -> Fraction:
    split = part_cell(record, "split")
    if split == 0:
        raise RightsError(
            "column split: 0 is not above 0. Write the publisher's part of the source, or remove the row"
        )
    return Fraction(1) if split is None else split
