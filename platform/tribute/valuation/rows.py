"""The rows of `valuations`: sources' values divided among publishers, with intervals and exact shares.

Legend: N draws, S sources, P publishers.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.valuation.intervals import interval, share_interval
from tribute.valuation.posterior import expected_misallocation
from tribute.valuation.shares import exact, payable_shares
from tribute.valuation.values import SourceValues

Splits = dict[tuple[str, str], Fraction]


class CorpusSources(NamedTuple):
    """The sources of a corpus, the publisher in each one's metadata, and their tokens."""

    source_ids: tuple[str, ...]
    publishers: dict[str, str]
    tokens: tuple[int, ...]


class Figures(NamedTuple):
    """Per column (a source, or a publisher): measured and final value and interval, nats; and the token share."""

    attribution: NDArray[np.float64]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    token_share: NDArray[np.float64]

    def row(self, column: int) -> dict[str, float]:
        """The columns of `valuations` that these figures fill."""
        names = ("attribution_nats", "value_nats", "ci_low_nats", "ci_high_nats", "token_share")
        return {name: float(values[column]) for name, values in zip(names, self, strict=True)}


def publisher_parts(splits: Splits, source_ids: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Publishers in the order of their ids, and their parts of the sources, [S, P]."""
    publisher_ids = tuple(sorted({publisher for _, publisher in splits}))
    split_SP = np.array([[float(splits.get((s, p), 0)) for p in publisher_ids] for s in source_ids])
    return publisher_ids, split_SP


def valuation_rows(corpus: CorpusSources, splits: Splits, values: SourceValues) -> list[dict[str, object]]:
    """A row per publisher, each followed by a row per source that it holds a right in."""
    publisher_ids, split_SP = publisher_parts(splits, corpus.source_ids)
    tokens_S = np.array(corpus.tokens, dtype=np.float64)
    share_S = tokens_S / tokens_S.sum()
    sources = Figures(values.attribution_S, values.value_S, *interval(values.draws_NS), share_S)
    draws_NP, token_share_P = values.draws_NS @ split_SP, share_S @ split_SP
    publishers = Figures(
        values.attribution_S @ split_SP, values.value_S @ split_SP, *interval(draws_NP), token_share_P
    )
    low_P, high_P = share_interval(draws_NP, token_share_P)
    shares = _shares(publisher_ids, publishers, splits, corpus)
    common: dict[str, object] = {"shrinkage": values.token_weight, "calibration": values.note}
    common["expected_misallocation"] = expected_misallocation(
        values.draws_NS, values.value_S, split_SP, token_share_P
    )
    rows: list[dict[str, object]] = []
    for column, publisher in enumerate(publisher_ids):
        own = {s: (i, splits[s, publisher]) for i, s in enumerate(corpus.source_ids) if (s, publisher) in splits}
        rows.append(
            common
            | publishers.row(column)
            | {"level": "publisher", "publisher_id": publisher, "source_id": None, "split": "1"}
            | {"tokens": float(tokens_S @ split_SP[:, column]), "share": fraction_text(shares[publisher])}
            | {"share_low": float(low_P[column]), "share_high": float(high_P[column])}
        )
        rows += [common | line for line in _lines(publisher, own, sources, tokens_S, shares[publisher])]
    return rows


def _lines(
    publisher: str,
    own: dict[str, tuple[int, Fraction]],
    sources: Figures,
    tokens_S: NDArray[np.float64],
    share: Fraction,
) -> list[dict[str, object]]:
    """A publisher's lines: its split of each source, and the line's part of the publisher's share."""
    held = {s: int(tokens_S[i]) * split for s, (i, split) in own.items()}
    fallback = {s: part / sum(held.values()) for s, part in held.items()}
    values = {s: Fraction(exact(float(sources.value[i] * float(split)))) for s, (i, split) in own.items()}
    parts = payable_shares(values, fallback)
    return [
        dict[str, object]({name: value * float(split) for name, value in sources.row(i).items()})
        | {"level": "line", "publisher_id": publisher, "source_id": source_id, "split": fraction_text(split)}
        | {"tokens": float(tokens_S[i] * split), "share": fraction_text(share * parts[source_id])}
        for source_id, (i, split) in own.items()
    ]


def _shares(
    publisher_ids: Sequence[str], publishers: Figures, splits: Splits, corpus: CorpusSources
) -> dict[str, Fraction]:
    tokens = dict(zip(corpus.source_ids, corpus.tokens, strict=True))
    fallback = dict.fromkeys(publisher_ids, Fraction(0))
    for (source_id, publisher), split in splits.items():
        fallback[publisher] += split * tokens[source_id] / sum(corpus.tokens)
    values = {p: Fraction(exact(v)) for p, v in zip(publisher_ids, publishers.value.tolist(), strict=True)}
    return payable_shares(values, fallback)


def fraction_text(fraction: Fraction) -> str:
    """An exact fraction as text in the lake, such as 2/7."""
    return f"{fraction.numerator}/{fraction.denominator}"
