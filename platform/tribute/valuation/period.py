"""A period's valuation: the function that the scheduled job and the service both call.

Legend: R replicates, G groups of queries, N resamples, S sources, P publishers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.config import Project, period_days
from tribute.errors import ValuationError
from tribute.lineage import lineage, run_id
from tribute.royalty import RightsBook, read_rights, rights_of_publishers
from tribute.valuation.aggregate import SourceSums, attribution_runs, source_sums
from tribute.valuation.intervals import interval, resampled_totals
from tribute.valuation.shares import payable_shares
from tribute.valuation.shrinkage import shrink, token_weight
from tribute_storage import SCHEMAS, Lake, connect

Splits = dict[tuple[str, str], Fraction]


@dataclass(frozen=True)
class Valuation:
    """The `valuations` rows of a run, and whether this call added them."""

    run_id: str
    period: str
    rows: pa.Table
    new: bool

    def publishers(self) -> list[dict[str, Any]]:
        """The publishers' rows, the most valuable first."""
        return [row for row in self.rows.to_pylist() if row["level"] == "publisher"]


class _Corpus(NamedTuple):
    source_ids: tuple[str, ...]
    publishers: dict[str, str]
    tokens: tuple[int, ...]


def value_period(lake: Lake, project: Project, period: str, batch_run: str | None) -> Valuation:
    """Value a period's attributed queries per source and publisher, and commit the valuation.

    Args:
        batch_run: the batch attribution that belongs to the period; what the service recorded is added to it.

    Raises:
        ValuationError: nothing was attributed in the period.
        RightsError: the sources file does not cover the corpus or the period.
    """
    runs = lineage(project)
    with connect(lake.root) as connection:
        corpus = _corpus(connection, runs.corpus_run)
        book = read_book(project, corpus.publishers)
        attributed = attribution_runs(connection, runs.simulate_run, period, batch_run)
        value_run = run_id("value", attributed, period, book.sha256, project.valuation.fingerprint())
        new = not lake.committed("valuations", value_run)
        if new:
            splits = period_splits(book, period, corpus.source_ids)
            sums = source_sums(connection, runs.simulate_run, period, attributed, corpus.source_ids)
            rows = _rows(project, corpus, splits, sums, value_run)
            labels = {"run_id": value_run, "simulate_run": runs.simulate_run, "period": period}
            _commit_book(lake, book)
            lake.append(
                "valuations",
                value_run,
                pa.Table.from_pylist([row | labels for row in rows], SCHEMAS["valuations"]),
            )
    return Valuation(value_run, period, read_valuation(lake, value_run), new)


def read_valuation(lake: Lake, value_run: str) -> pa.Table:
    """The rows of a committed valuation: publishers by value, each before its lines."""
    with connect(lake.root) as connection:
        return connection.sql(
            "select * from valuations where run_id = $1 "
            "order by level desc, value_nats desc, publisher_id, source_id",
            params=[value_run],
        ).to_arrow_table()


def period_splits(book: RightsBook, period: str, source_ids: Iterable[str]) -> Splits:
    """Who is paid which part of each source in a period.

    Raises:
        RightsError: a source has no right, or its splits do not sum to 1 on some day.
    """
    first, after = (date.fromisoformat(day) for day in period_days(period))
    return book.period_splits(first, after, source_ids)


def read_book(project: Project, publisher_of_source: dict[str, str]) -> RightsBook:
    """The rights of `project.yaml`, or those that the corpus's own metadata name."""
    if project.rights.sources is None:
        return rights_of_publishers(publisher_of_source)
    return read_rights(project.rights.sources, project.rights.publishers)


def _corpus(connection: duckdb.DuckDBPyConnection, corpus_run: str) -> _Corpus:
    rows = connection.execute(
        "select source_id, publisher, tokens from corpus_sources where run_id = $1 order by source_id",
        [corpus_run],
    ).fetchall()
    if not rows:
        raise ValuationError("The lake holds no corpus of these settings. Run: tribute train PROJECT.yaml")
    return _Corpus(tuple(r[0] for r in rows), {r[0]: r[1] for r in rows}, tuple(r[2] for r in rows))


def _commit_book(lake: Lake, book: RightsBook) -> None:
    rights_run = run_id("rights", book.sha256)
    people = [{"run_id": rights_run, "publisher_id": p.publisher_id, "name": p.name} for p in book.publishers]
    lake.append("publishers", rights_run, pa.Table.from_pylist(people, SCHEMAS["publishers"]))
    rights = [
        {
            "run_id": rights_run,
            "source_id": right.source_id,
            "publisher_id": right.publisher_id,
            "split": _text(right.split),
            "valid_from": right.valid_from,
            "valid_to": right.valid_to,
        }
        for right in book.rights
    ]
    lake.append("rights", rights_run, pa.Table.from_pylist(rights, SCHEMAS["rights"]))


class _Figures(NamedTuple):
    """Per column (a source, or a publisher): raw and shrunk value and interval, nats; and the token share."""

    attribution: NDArray[np.float64]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    token_share: NDArray[np.float64]

    def row(self, column: int) -> dict[str, float]:
        """The columns of `valuations` that these figures fill."""
        names = ("attribution_nats", "value_nats", "ci_low_nats", "ci_high_nats", "token_share")
        return {name: float(values[column]) for name, values in zip(names, self, strict=True)}


def _rows(
    project: Project, corpus: _Corpus, splits: Splits, sums: SourceSums, value_run: str
) -> list[dict[str, object]]:
    publisher_ids = sorted({publisher for _, publisher in splits})
    split_SP = np.array([[float(splits.get((s, p), 0)) for p in publisher_ids] for s in corpus.source_ids])
    tokens_S = np.array(corpus.tokens, dtype=np.float64)
    share_S = tokens_S / tokens_S.sum()
    totals_RS = sums.nats_RGS.sum(1)
    kappa = _kappa(project, totals_RS, share_S)
    resampled_NS = resampled_totals(sums.nats_RGS, project.valuation.resamples, int(value_run[-8:], 16))
    shrunk_NS = shrink(resampled_NS, share_S, kappa)
    raw_S = totals_RS.mean(0)
    value_S = shrink(raw_S, share_S, kappa)
    sources = _Figures(raw_S, value_S, *interval(shrunk_NS), share_S)
    publishers = _Figures(
        raw_S @ split_SP, value_S @ split_SP, *interval(shrunk_NS @ split_SP), share_S @ split_SP
    )
    shares = _shares(publisher_ids, publishers, splits, corpus)
    common: dict[str, object] = {"queries": sums.queries, "shrinkage": kappa}
    rows: list[dict[str, object]] = []
    for column, publisher in enumerate(publisher_ids):
        own = {s: (i, splits[s, publisher]) for i, s in enumerate(corpus.source_ids) if (s, publisher) in splits}
        rows.append(
            common
            | publishers.row(column)
            | {"level": "publisher", "publisher_id": publisher, "source_id": None, "split": "1"}
            | {"tokens": float(tokens_S @ split_SP[:, column]), "share": _text(shares[publisher])}
        )
        rows += [common | line for line in _lines(publisher, own, sources, tokens_S, shares[publisher])]
    return rows


def _lines(
    publisher: str,
    own: dict[str, tuple[int, Fraction]],
    sources: _Figures,
    tokens_S: NDArray[np.float64],
    share: Fraction,
) -> list[dict[str, object]]:
    """A publisher's lines: its split of each source, and the part of its share that the line stands for."""
    held = {s: int(tokens_S[i]) * split for s, (i, split) in own.items()}
    fallback = {s: part / sum(held.values()) for s, part in held.items()}
    parts = payable_shares({s: float(sources.value[i]) * float(split) for s, (i, split) in own.items()}, fallback)
    return [
        dict[str, object]({name: value * float(split) for name, value in sources.row(i).items()})
        | {"level": "line", "publisher_id": publisher, "source_id": source_id, "split": _text(split)}
        | {"tokens": float(tokens_S[i] * split), "share": _text(share * parts[source_id])}
        for source_id, (i, split) in own.items()
    ]


def _kappa(project: Project, totals_RS: NDArray[np.float64], share_S: NDArray[np.float64]) -> float:
    chosen = project.valuation.shrinkage
    return token_weight(totals_RS, share_S) if isinstance(chosen, str) else chosen


def _shares(
    publisher_ids: Sequence[str], publishers: _Figures, splits: Splits, corpus: _Corpus
) -> dict[str, Fraction]:
    tokens = dict(zip(corpus.source_ids, corpus.tokens, strict=True))
    fallback = dict.fromkeys(publisher_ids, Fraction(0))
    for (source_id, publisher), split in splits.items():
        fallback[publisher] += split * tokens[source_id] / sum(corpus.tokens)
    return payable_shares(dict(zip(publisher_ids, publishers.value.tolist(), strict=True)), fallback)


def _text(fraction: Fraction) -> str:
    return f"{fraction.numerator}/{fraction.denominator}"
