"""Claim dates of sources and documents, from the operator's records."""

from datetime import UTC, date, datetime
from pathlib import Path

from tribute.errors import CorpusError, RightsError
from tribute.files import read_moment
from tribute.files.records import FileRow, read_records
from tribute.ids import checked_id, short


def read_claims(path: Path) -> dict[str, date]:
    """Read claim dates from a file with the columns source_id and claimed; an empty date is unknown.

    Raises:
        CorpusError: the file cannot be read or a row is invalid; names the file and the row.
    """
    try:
        rows = read_records(path, ("source_id", "claimed"), ())
    except RightsError as problem:
        raise CorpusError(f"corpus.duplicates.claims: {problem}") from None
    found: dict[str, date] = {}
    seen: set[str] = set()
    for row in rows:
        source_id, claimed = _claim(path, row)
        if source_id in seen:
            raise CorpusError(
                f"{path}, {row.where} repeats source {short(source_id)}. Keep the row with the earliest date"
            )
        seen.add(source_id)
        if claimed is not None:
            found[source_id] = claimed
    return found


def _claim(path: Path, row: FileRow) -> tuple[str, date | None]:
    source_id = row.cells["source_id"]
    if not isinstance(source_id, str):
        raise CorpusError(f"{path}, {row.where}: column source_id holds {source_id}, expected text. Fill it in")
    try:
        source_id = checked_id(source_id)
    except ValueError as error:
        raise CorpusError(f"{path}, {row.where}: column source_id {error}") from None
    try:
        return source_id, claim_date(row.cells.get("claimed"))
    except ValueError as error:
        raise CorpusError(f"{path}, {row.where}: column claimed: {error}") from None


def claim_date(value: object) -> date | None:
    """Parse a cell as a date, in UTC if it is a time with an offset; None if unknown.

    Raises:
        ValueError: the cell is not a date.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).date() if value.tzinfo else value.date()
    if value is None or isinstance(value, date):
        return value
    text = value.strip() if isinstance(value, str) else repr(value)[:80]
    for moment in (f"{text}T00:00Z", text, f"{text}Z"):
        try:
            return read_moment(moment).date()
        except ValueError:
            continue
    raise ValueError(f"{text[:80]} is not a date. Write it as 2026-10-31, or leave it empty")
