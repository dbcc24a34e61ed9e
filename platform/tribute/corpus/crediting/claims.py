"""When sources and documents were first claimed, by the operator's own records."""

import csv
from datetime import UTC, date, datetime
from pathlib import Path

from tribute.errors import CorpusError


def read_claims(path: Path) -> dict[str, date]:
    """Dates of sources from a CSV file of source_id and claimed; an empty date is not known.

    Raises:
        CorpusError: names the file and the row that are wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}, which corpus.duplicates.claims names, cannot be read: {error}") from None
    found: dict[str, date] = {}
    for number, row in enumerate(rows, 2):
        source_id = (row.get("source_id") or "").strip()
        if not source_id or "claimed" not in row:
            raise CorpusError(
                f"{path}, row {number}: expected columns source_id,claimed, got {', '.join(map(str, row))}"
            )
        if source_id in found:
            raise CorpusError(f"{path}, row {number} repeats source {source_id}. Keep its earliest date")
        try:
            claimed = claim_date((row["claimed"] or "").strip() or None)
        except ValueError as error:
            raise CorpusError(f"{path}, row {number}: {error}") from None
        if claimed is not None:
            found[source_id] = claimed
    return found


def claim_date(value: object) -> date | None:
    """The day of a cell, in UTC if it is a time with an offset; None: not known.

    Raises:
        ValueError: it is not a day.
    """
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        raise ValueError(f"{value!r} is not a day. Write it as 2026-10-31, or leave it empty")
    return moment.astimezone(UTC).date() if moment.tzinfo else moment.date()
