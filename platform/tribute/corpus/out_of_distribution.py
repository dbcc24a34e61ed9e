"""Whether a query is like the corpus: attributions of one that is not are extrapolations.

A query's similarity to the training data is compared with that of text which the corpus itself held out.

Legend: N rows, Q queries, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.queries import QueryTable
from tribute.corpus.sources import Columns

Array = NDArray[np.float64]
GRAM = 5
"""Bytes of text that are looked up together."""
BITS = 2**27
"""Size of the table of what was seen: 7 million different grams, of a hundred megabytes of text, take 5% of it."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
FLAGGED = 0.01
"""Part of the held-out rows that are less similar than the threshold."""
FEWEST = 20
VECTORS = 20_000
BLOCK = 4096


class OutOfDistribution(NamedTuple):
    """Of every query [Q]: similarity 0 to 1, whether it is unlike the corpus, how much wider its interval is."""

    similarity_Q: Array
    unlike_Q: NDArray[np.bool_]
    widening_Q: Array

    def take(self, chosen: Sequence[int]) -> "OutOfDistribution":
        """Some of the queries, in the given order."""
        picked = list(chosen)
        return OutOfDistribution(self.similarity_Q[picked], self.unlike_Q[picked], self.widening_Q[picked])


@dataclass(frozen=True)
class OutOfDistributionTest:
    """The training data to compare with, and the similarity below which queries are unlike them.

    ``seen``: bits of hashed grams (text), or centred unit vectors [N, F] (features); None: nothing to compare.
    ``thresholds``: for queries of 1, 2, 4, ... rows: the mean of many rows strays less than one row does.
    """

    thresholds: tuple[float, ...]
    seen: NDArray | None
    centre: Array | None = None

    @classmethod
    def of(cls, train: Columns, held_out: Columns) -> "OutOfDistributionTest":
        """From training and held-out rows; without `FEWEST` of those every tenth of the former is left out."""
        if not ({"tokens", "features"} & set(train)):
            return cls((0.0,), None)
        if len(next(iter(held_out.values()))) < FEWEST:
            left_out = np.arange(len(next(iter(train.values())))) % 10 == 9
            held_out = {name: values[left_out] for name, values in train.items()}
            train = {name: values[~left_out] for name, values in train.items()}
        known = cls((), _seen_grams(train["tokens"])) if "tokens" in train else _vectors(train["features"])
        return cls(_thresholds(known.similarity(held_out)), known.seen, known.centre)

    def judge(self, queries: QueryTable) -> OutOfDistribution:
        """Compare each query, the mean of its rows, with as many held-out rows of the corpus.

        It is unlike the corpus if `FLAGGED` of those are more so; its interval is then
        (1 - similarity) / (1 - threshold) times as wide.
        """
        count, similarity_N = len(queries.query_ids), self.similarity(queries.rows)
        rows_Q = np.bincount(queries.row_query, minlength=count).clip(1)
        similarity_Q = np.bincount(queries.row_query, similarity_N, minlength=count) / rows_Q
        size_Q = np.minimum(np.log2(rows_Q).astype(int), len(self.thresholds) - 1)
        threshold_Q = np.array(self.thresholds)[size_Q]
        unlike_Q = similarity_Q < threshold_Q
        ratio_Q = (1 - similarity_Q) / np.maximum(1 - threshold_Q, 1e-3)
        return OutOfDistribution(similarity_Q, unlike_Q, np.where(unlike_Q, np.maximum(ratio_Q, 1), 1.0))

    def similarity(self, rows: Columns) -> Array:
        """Similarity of each row to the training data, [N], 0 to 1.

        Text: the part of its five-byte grams that stand anywhere in the training text. Features: the largest
        cosine with a training row, both less the training mean. Anything else: 1.
        """
        count = len(next(iter(rows.values())))
        if self.seen is None:
            return np.ones(count)
        compare = self._text if self.centre is None else self._cosine
        column = rows["tokens" if self.centre is None else "features"]
        blocks = [compare(column[begin : begin + BLOCK]) for begin in range(0, count, BLOCK)]
        return np.concatenate([np.zeros(0), *blocks])

    def _text(self, tokens: NDArray) -> Array:
        place, counted = _grams(tokens)
        assert self.seen is not None
        hit = (self.seen[place >> 3] >> (place & 7).astype(np.uint8)) & 1
        return np.asarray((hit * counted).sum(1) / counted.sum(1).clip(1))

    def _cosine(self, features: NDArray) -> Array:
        assert self.seen is not None and self.centre is not None
        unit_NF = _unit(features.astype(np.float64) - self.centre)
        return np.asarray((unit_NF @ self.seen.T).max(1).clip(0, 1))


def _thresholds(similarity_N: Array) -> tuple[float, ...]:
    """The similarity that `FLAGGED` of all stretches of 1, 2, 4, ... rows stay below."""
    found: list[float] = []
    length, total_N = 1, np.concatenate([[0.0], np.cumsum(similarity_N)])
    while not found or length * FEWEST <= len(similarity_N):
        found.append(float(np.quantile((total_N[length:] - total_N[:-length]) / length, FLAGGED)))
        length *= 2
    return tuple(found)


def _grams(tokens: NDArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Place in the table of every gram of every row, and whether it counts (no padding); short rows are one."""
    width = min(GRAM, tokens.shape[1])
    windows = np.lib.stride_tricks.sliding_window_view(tokens, width, axis=1)
    packed = np.zeros(windows.shape[:2], dtype=np.uint64)
    for byte in range(width):
        packed = packed * np.uint64(257) + (windows[..., byte].astype(np.int64) + 1).astype(np.uint64)
    counted: NDArray[np.bool_] = np.asarray((windows >= 0).all(-1))
    counted[:, 0] |= ~counted.any(1)
    return ((packed * MULTIPLIER) >> np.uint64(37)).astype(np.int64) % BITS, counted


def _seen_grams(tokens: NDArray) -> NDArray[np.uint8]:
    bits = np.zeros(BITS // 8, dtype=np.uint8)
    for begin in range(0, len(tokens), BLOCK):
        place, counted = _grams(tokens[begin : begin + BLOCK])
        chosen = np.unique(place[counted])
        np.bitwise_or.at(bits, chosen >> 3, np.uint8(1) << (chosen & 7).astype(np.uint8))
    return bits


def _vectors(features: NDArray) -> OutOfDistributionTest:
    chosen = np.unique(np.linspace(0, len(features) - 1, min(VECTORS, len(features))).astype(int))
    centre = features.mean(0, dtype=np.float64)
    return OutOfDistributionTest((), _unit(features[chosen].astype(np.float64) - centre), centre)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
