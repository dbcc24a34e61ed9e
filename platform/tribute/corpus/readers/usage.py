"""Reader of usage events from .jsonl or .parquet files, checked cell by cell."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from tribute.corpus.queries import Accounting, QueryTable, array_queries, text_queries
from tribute.corpus.readers.text_files import read_jsonl, read_parquet_rows
from tribute.errors import CorpusError

Value = TypeVar("Value")
KNOWN = {"query_id", "text", "features", "label", "time", "customer_id", "weight", "inclusion_probability"}


@dataclass(frozen=True)
class Usage:
    """Uses of the model in any order; ids may repeat.

    Attributes:
        contents: the columns `text`, or `features` and `label`.
    """

    query_ids: list[str]
    accounting: Accounting
    contents: dict[str, list]

    def queries(self, window: int | None) -> QueryTable:
        """Queries in the order of their ids, so that no result depends on the order in the file.

        Args:
            window: bytes per row of a text model; None for a model of feature vectors.

        Raises:
            CorpusError: an id repeats, or feature vectors have different lengths or are not finite.
        """
        if window is not None:
            queries = text_queries(self.query_ids, self.contents["text"], window, self.accounting)
        else:
            features, labels = self.contents["features"], self.contents["label"]
            queries = array_queries(self.query_ids, features, labels, self.accounting)
        return queries.take(sorted(range(len(self.query_ids)), key=self.query_ids.__getitem__))


def content_columns(window: int | None) -> tuple[str, ...]:
    """Content columns of a text model, or of a model of feature vectors (no window)."""
    return ("text",) if window is not None else ("features", "label")


def usage_queries(path: Path, window: int | None) -> QueryTable:
    """Read the queries of a usage file, in the order of their ids.

    Args:
        window: bytes per row of a text model; None for a model of feature vectors.

    Raises:
        CorpusError: the file, a row or a column is invalid; names it.
    """
    if not path.is_file():
        raise CorpusError(f"Usage file {path} does not exist. Correct queries.path in project.yaml")
    usage = read_usage(path, window)
    try:
        return usage.queries(window)
    except CorpusError as error:
        raise CorpusError(f"{path}: {error}") from None


def read_usage(path: Path, window: int | None) -> Usage:
    """Read the uses in a file; see `usage_queries`.

    Raises:
        CorpusError: the file, a row or a column is invalid; names it.
    """
    content = content_columns(window)
    read = read_parquet_rows if path.suffix == ".parquet" else read_jsonl
    try:
        rows = read(path, ("query_id", *content))
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror}. Correct the path or its permissions"
        ) from None
    _no_unknown_columns(path, rows)

    def column(name: str, parse: Callable[[object], Value]) -> list[Value]:
        return [_parsed(path, number, row, name, parse) for number, row in enumerate(rows, 1)]

    ids = column("query_id", _name)
    accounting = Accounting(
        column("time", _moment),
        column("customer_id", _name_or_none),
        column("weight", _weight),
        column("inclusion_probability", _probability),
    )
    return Usage(ids, accounting, {name: column(name, PARSERS[name]) for name in content})


def _no_unknown_columns(path: Path, rows: list[dict[str, object]]) -> None:
    unknown = sorted({name for row in rows for name in row} - KNOWN)
    if unknown:
        raise CorpusError(
            f"{path} has unknown columns: {', '.join(unknown)}. Known: {', '.join(sorted(KNOWN))}. Rename or drop "
            "them"
        )


def _parsed(
    path: Path, number: int, row: Mapping[str, object], name: str, parse: Callable[[object], Value]
) -> Value:
    try:
        return parse(row.get(name))
    except (TypeError, ValueError, OverflowError) as error:
        raise CorpusError(f"{path}, row {number}: column {name!r} is {row.get(name)!r}: {error}") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value.encode()) < 2:
        raise ValueError("expected text of at least two bytes")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected non-empty text")
    value.encode()  # half a character (a lone surrogate) is refused
    return value


def _name_or_none(value: object) -> str | None:
    return None if value is None else _name(value)


def _vector(value: object) -> list[float]:
    if not isinstance(value, list):
        raise ValueError("expected a list of numbers")
    return value


def _moment(value: object) -> datetime | None:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError("expected a time with its offset, such as 2026-10-05T12:00:00+00:00")
    return moment.astimezone(UTC)


def _weight(value: object) -> float:
    number = 1.0 if value is None else float(value)  # type: ignore[arg-type]
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("expected a finite number of at least 0")
    return number + 0.0  # without the sign of a negative zero


def _probability(value: object) -> float:
    number = 1.0 if value is None else float(value)  # type: ignore[arg-type]
    if not 0 < number <= 1:
        raise ValueError("expected a probability above 0 and at most 1")
    return number


def _label(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError("expected a whole number of at least 0")
    return value


PARSERS: dict[str, Callable[[object], object]] = {"text": _text, "features": _vector, "label": _label}
