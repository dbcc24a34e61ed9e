"""Claim dates of sources and documents, from the operator's records."""

import csv
from datetime import UTC, date, datetime
from pathlib import Path

from tribute.errors import CorpusError


def read_claims(path: Path) -> dict[str, date]:
    """Read claim dates from a CSV file with the columns source_id and claimed; an empty date is unknown.

    Raises:
        CorpusError: the file cannot be read or a row is invalid; names the file and the row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{path} (corpus.duplicates.claims) cannot be read: {error}. Correct the path, or write it as UTF-8 "
            "CSV"
        ) from None
    found: dict[str, date] = {}
    for number, row in enumerate(rows, 2):
        source_id = (row.get("source_id") or "").strip()
        if not source_id or "claimed" not in row:
            raise CorpusError(
                f"{path}, row {number}: expected columns source_id,claimed, got {', '.join(map(str, row))}"
            )
        if source_id in found:
            raise CorpusError(
                f"{path}, row {number} repeats source {source_id}. Keep the row with the earliest date"
            )
        try:
            claimed = claim_date((row["claimed"] or "").strip() or None)
        except ValueError as error:
            raise CorpusError(f"{path}, row {number}: {error}") from None
        if claimed is not None:
            found[source_id] = claimed
    return found


def claim_date(value: object) -> date | None:
    """Parse a cell as a date, in UTC if it is a time with an offset; None if unknown.

    Raises:
        ValueError: the cell is not a date.
    """
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        raise ValueError(f"{value!r} is not a date. Write it as 2026-10-31, or leave it empty")
    return moment.astimezone(UTC).date() if moment.tzinfo else moment.date()
