"""Reader of usage events from .jsonl, .jsonl.gz or .parquet files, checked cell by cell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from tribute.corpus.encoding import TextFormat
from tribute.corpus.queries import MIN_WEIGHT, Accounting, QueryTable, array_queries, text_queries
from tribute.corpus.readers.rows import CHAT_REMEDY, every_row, read_jsonl, read_parquet_rows
from tribute.errors import ConfigError, CorpusError, joined
from tribute.files import read_moment, unknown_columns
from tribute.ids import checked_id, excerpt
from tribute.royalty.exact.calendar import period_days
from tribute.royalty.exact.text import exact_fraction

KNOWN = (
    "query_id",
    "text",
    "prompt",
    "features",
    "label",
    "time",
    "period",
    "customer_id",
    "weight",
    "inclusion_probability",
)
OPTIONAL = frozenset(("prompt",))
"""Columns of content that a file, or a row, may do without."""
READERS = {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".json": read_jsonl, ".parquet": read_parquet_rows}
LARGEST_WEIGHT, SMALLEST_PROBABILITY = 1e9, 1e-9
"""Up to these, and with weights from `MIN_WEIGHT`, sums over a month lose no use."""


@dataclass(frozen=True)
class Usage:
    """Uses of the model in any order; ids may repeat.

    Attributes:
        contents: the columns `text` and `prompt`, or `features` and `label`.
    """

    query_ids: list[str]
    accounting: Accounting
    contents: dict[str, list]

    def queries(self, window: TextFormat | int | None) -> QueryTable:
        """Queries in the order of their ids, so that no result depends on the order in the file.

        Args:
            window: bytes per row of a text model, or its format; None for a model of feature vectors.

        Raises:
            CorpusError: an id repeats, nothing of a text is measured, or feature vectors have different lengths or
                are not finite.
        """
        if window is not None:
            texts, prompts = self.contents["text"], self.contents["prompt"]
            queries = text_queries(self.query_ids, texts, window, self.accounting, prompts=prompts)
        else:
            features, labels = self.contents["features"], self.contents["label"]
            queries = array_queries(self.query_ids, features, labels, self.accounting)
        return queries.take(sorted(range(len(self.query_ids)), key=self.query_ids.__getitem__))


def content_columns(window: TextFormat | int | None) -> tuple[str, ...]:
    """Content columns of a text model, or of a model of feature vectors (no window)."""
    return ("prompt", "text") if window is not None else ("features", "label")


def usage_queries(paths: Path | Sequence[Path], window: TextFormat | int | None) -> QueryTable:
    """Read the queries of usage files, in the order of their ids.

    Args:
        paths: a file, several, or patterns such as `usage/*.jsonl.gz`.
        window: bytes per row of a text model, or its format; None for a model of feature vectors.

    Raises:
        CorpusError: a file, a row or a column is invalid; names it, and one problem of each other file.
    """
    files = usage_files([paths] if isinstance(paths, Path) else paths)
    read, problems = list[Usage](), list[str]()
    for path in files:
        try:
            read.append(read_usage(path, window))
        except CorpusError as problem:
            problems.append(str(problem))
    if problems:
        raise CorpusError(joined(problems, f"{len(problems)} usage files cannot be used:"))
    accounting = Accounting(
        [each for one in read for each in one.accounting.times or ()],
        [each for one in read for each in one.accounting.customers or ()],
        [each for one in read for each in one.accounting.weights or ()],
        [each for one in read for each in one.accounting.inclusion or ()],
    )
    contents = {name: [each for one in read for each in one.contents[name]] for name in content_columns(window)}
    usage = Usage([query_id for one in read for query_id in one.query_ids], accounting, contents)
    try:
        return usage.queries(window)
    except CorpusError as error:
        raise CorpusError(f"{', '.join(map(str, files))}: {error}") from None


def usage_files(paths: Sequence[Path]) -> list[Path]:
    """The files of paths and patterns, each once, in order of their names within a pattern.

    Raises:
        CorpusError: a file does not exist, or a pattern fits none.
    """
    found: dict[Path, None] = {}
    missing = []
    for path in paths:
        fitting = [path] if path.is_file() else []
        if not fitting and any(mark in path.name for mark in "*?["):
            fitting = sorted(each for each in path.parent.glob(path.name) if each.is_file())
        if not fitting:
            missing.append(
                f"{path} is a folder. Name its files in queries.path, such as {path / '*.jsonl'}"
                if path.is_dir()
                else f"Usage file {path} does not exist. Correct queries.path in project.yaml"
            )
        found |= dict.fromkeys(fitting)
    if missing:
        raise CorpusError(joined(missing, f"{len(missing)} usage files cannot be read:"))
    return list(found)


def read_usage(path: Path, window: TextFormat | int | None) -> Usage:
    """Read the uses in a file; see `usage_queries`.

    Raises:
        CorpusError: the file, a row or a column is invalid; names it.
    """
    content = content_columns(window)
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind and kind not in READERS:
        raise CorpusError(f"{path} is no usage file. Write it as .jsonl, .jsonl.gz or .parquet")
    rows = READERS.get(kind, read_jsonl)(path, ("query_id", *(name for name in content if name not in OPTIONAL)))
    unknown = unknown_columns((name for row in rows for name in row), KNOWN)
    if unknown:
        raise CorpusError("\n  ".join([f"{path} cannot be used:", *unknown]))

    columns = ("query_id", "period", "time", "customer_id", "weight", "inclusion_probability", *content)

    def use(number: int, row: Mapping[str, object]) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        for name in columns:
            try:
                value = row.get(name)
                if name == "time":
                    cells[name] = _moment(cells["period"], value)
                elif name == "text" and cells["prompt"]:
                    cells[name] = _completion(value)
                else:
                    cells[name] = PARSERS[name](value)
            except (TypeError, ValueError, OverflowError) as error:
                shown = "" if name in ("query_id", "customer_id") else f"is {excerpt(value)}: "
                raise CorpusError(f"{path}, row {number}: column {name!r} {shown}{error}") from None
        return cells

    uses = every_row(path, enumerate(rows, 1), use)

    def column(name: str) -> list[Any]:
        return [cells[name] for cells in uses]

    accounting = Accounting(*map(column, ("time", "customer_id", "weight", "inclusion_probability")))
    return Usage(column("query_id"), accounting, {name: column(name) for name in content})


def _text(value: object) -> str:
    return _unicode(value, 2, "expected text of at least two bytes")


def _completion(value: object) -> str:
    return _unicode(value, 1, "expected text, which may be one byte after a prompt")


def _prompt(value: object) -> str | None:
    return None if value is None else _unicode(value, 0, "expected text, or nothing")


def _unicode(value: object, least: int, expected: str) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        raise ValueError(f"expected text, got a list of {len(value)} chat messages. {CHAT_REMEDY}")
    try:
        if not isinstance(value, str) or len(value.encode()) < least:
            raise ValueError(expected)
    except UnicodeEncodeError:
        raise ValueError("it holds half a character (a lone surrogate). Correct the row") from None
    return value


def _id_or_none(value: object) -> str | None:
    return None if value is None else checked_id(value)


def _vector(value: object) -> list[float]:
    if not isinstance(value, list):
        raise ValueError("expected a list of numbers")
    return value


def _period(value: object) -> str | None:
    if value is None:
        return None
    try:
        period_days(str(value))
    except ConfigError:
        raise ValueError("expected a month such as 2026-10") from None
    return str(value)


def _moment(period: str | None, value: object) -> datetime | None:
    """A moment in UTC. A use without a time has the first moment of the period that its row declares, if any."""
    moment = read_moment(value) if isinstance(value, str) else value
    if moment is not None and not (isinstance(moment, datetime) and moment.tzinfo):
        raise ValueError("expected a time with its offset, such as 2026-10-05T12:00:00+00:00")
    if period is None:
        return moment and moment.astimezone(UTC)
    if moment is None:
        return datetime.combine(date.fromisoformat(period_days(period)[0]), time(), UTC)
    if f"{moment.astimezone(UTC):%Y-%m}" != period:
        raise ValueError(f"the row declares the period {period}. Correct one of the two")
    return moment.astimezone(UTC)


def _number(value: object) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float(exact_fraction(value))
    return float(min(value, LARGEST_WEIGHT * 2))  # whole numbers of any length


def _weight(value: object) -> float:
    number = _number(value)
    if number and not MIN_WEIGHT <= number <= LARGEST_WEIGHT:
        raise ValueError(f"expected 0, or a number from {MIN_WEIGHT:g} to {LARGEST_WEIGHT:g}")
    return number + 0.0  # without the sign of a negative zero


def _probability(value: object) -> float:
    number = _number(value)
    if not SMALLEST_PROBABILITY <= number <= 1:
        raise ValueError(f"expected a probability above 0 and at most 1, and at least {SMALLEST_PROBABILITY:g}")
    return number


def _label(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError("expected a whole number of at least 0")
    return value


PARSERS: dict[str, Callable[[object], object]] = {
    "query_id": checked_id,
    "period": _period,
    "customer_id": _id_or_none,
    "weight": _weight,
    "inclusion_probability": _probability,
    "prompt": _prompt,
    "text": _text,
    "features": _vector,
    "label": _label,
}
