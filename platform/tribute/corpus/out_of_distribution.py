"""Detection of queries that are out of distribution, whose attributions are extrapolations.

The similarity of a query to the training data is compared with that of held-out examples of the corpus.

Legend: N rows, Q queries, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.columns import Column, blocks
from tribute.corpus.queries import QueryTable

Array = NDArray[np.float64]
GRAM_BYTES, GRAM_TOKENS = 5, 2
"""Length of a gram: of bytes, and of a tokenizer's tokens, which are parts of words."""
BYTES = 256
TABLE_BITS = 2**27
"""Size of the hash table of grams: the 7 million distinct grams of a hundred megabytes of text fill 5% of it."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
FLAGGED_SHARE = 0.01
"""Share of held-out rows that are less similar than the threshold."""
MIN_HELD_OUT_ROWS = 20
MAX_TRAINING_VECTORS = 20_000
ROWS_AT_ONCE = 4096


class OutOfDistribution(NamedTuple):
    """For each query, [Q]: similarity from 0 to 1, whether it is out of distribution, factor for its interval."""

    similarity_Q: Array
    is_ood_Q: NDArray[np.bool_]
    widening_Q: Array

    def take(self, chosen: Sequence[int]) -> "OutOfDistribution":
        """Some of the queries, in the given order."""
        picked = list(chosen)
        return OutOfDistribution(self.similarity_Q[picked], self.is_ood_Q[picked], self.widening_Q[picked])


@dataclass(frozen=True)
class OutOfDistributionDetector:
    """Training data to compare with, and the similarity below which a query is out of distribution.

    `seen` holds the bits of hashed grams (text) or centred unit vectors [N, F] (features); None if there is
    nothing to compare. `thresholds` are for queries of 1, 2, 4, ... rows: means of many rows vary less than single
    rows.
    """

    thresholds: tuple[float, ...]
    seen: NDArray | None
    centre: Array | None = None
    of_bytes: bool = True
    """Whether tokens are bytes, so that a gram has `GRAM_BYTES` of them."""

    @classmethod
    def of(cls, train: Mapping[str, Column], held_out: Mapping[str, Column]) -> "OutOfDistributionDetector":
        """Build from training and held-out rows; if those are few, every tenth training row is held out.

        Of fewer than ten training rows none is. With nothing to compare, no query is out of distribution.
        """
        if not ({"tokens", "features"} & set(train)):
            return cls((0.0,), None)
        if len(next(iter(held_out.values()))) < MIN_HELD_OUT_ROWS:
            left_out = np.arange(len(next(iter(train.values())))) % 10 == 9
            held_out = {name: values[left_out] for name, values in train.items()}
            train = {name: values[~left_out] for name, values in train.items()}
        if not len(next(iter(held_out.values()))):
            return cls((0.0,), None)
        if "tokens" in train:
            of_bytes = max(_largest(part["tokens"]) for part in (train, held_out)) < BYTES
            known = cls((), _seen_grams(train["tokens"], of_bytes), of_bytes=of_bytes)
        else:
            known = _vectors(np.asarray(train["features"]))
        return replace(known, thresholds=_thresholds(known.similarity(held_out)))

    def assess(self, queries: QueryTable) -> OutOfDistribution:
        """Compare each query, by the mean over its rows, with as many held-out rows of the corpus.

        A query is out of distribution if its similarity lies below the `FLAGGED_SHARE` quantile of held-out rows.
        Its interval is then (1 - similarity) / (1 - threshold) times as wide, and never narrower.
        """
        count, similarity_N = len(queries.query_ids), self.similarity(queries.rows)
        rows_Q = np.bincount(queries.row_query, minlength=count)
        sum_Q = np.bincount(queries.row_query, weights=similarity_N, minlength=count).astype(np.float64)
        return self.judged(sum_Q, rows_Q)

    def judged(self, sum_Q: Array, rows_Q: NDArray[np.integer]) -> OutOfDistribution:
        """`assess`, from the similarities of each query's rows, added up, and their number, [Q] each."""
        rows_Q = rows_Q.clip(1)
        similarity_Q = sum_Q / rows_Q
        size_Q = np.minimum(np.log2(rows_Q).astype(int), len(self.thresholds) - 1)
        threshold_Q = np.array(self.thresholds)[size_Q]
        is_ood_Q = similarity_Q < threshold_Q
        ratio_Q = (1 - similarity_Q) / np.maximum(1 - threshold_Q, 1e-3)
        return OutOfDistribution(similarity_Q, is_ood_Q, np.where(is_ood_Q, np.maximum(ratio_Q, 1), 1.0))

    def similarity(self, rows: Mapping[str, Column]) -> Array:
        """Similarity of each row to the training data, [N], 0 to 1.

        Text: the share of its grams, of five bytes or two tokens, that occur in the training text. Features: the
        largest cosine with a training row, after subtracting the training mean. Other columns: 1.
        """
        count = len(next(iter(rows.values())))
        if self.seen is None:
            return np.ones(count)
        compare = self._text if self.centre is None else self._cosine
        column = rows["tokens" if self.centre is None else "features"]
        return np.concatenate([np.zeros(0), *map(compare, blocks(column, ROWS_AT_ONCE))])

    def _text(self, tokens: NDArray) -> Array:
        place, counted = _grams(tokens, self.of_bytes)
        assert self.seen is not None
        hit = (self.seen[place >> 3] >> (place & 7).astype(np.uint8)) & 1
        return np.asarray((hit * counted).sum(1) / counted.sum(1).clip(1))

    def _cosine(self, features: NDArray) -> Array:
        assert self.seen is not None and self.centre is not None
        unit_NF = _unit(features.astype(np.float64) - self.centre)
        return np.asarray((unit_NF @ self.seen.T).max(1).clip(0, 1))


def _thresholds(similarity_N: Array) -> tuple[float, ...]:
    """Quantile `FLAGGED_SHARE` of the mean similarity of 1, 2, 4, ... consecutive rows."""
    thresholds: list[float] = []
    length, total_N = 1, np.concatenate([[0.0], np.cumsum(similarity_N)])
    while not thresholds or length * MIN_HELD_OUT_ROWS <= len(similarity_N):
        thresholds.append(float(np.quantile((total_N[length:] - total_N[:-length]) / length, FLAGGED_SHARE)))
        length *= 2
    return tuple(thresholds)


def _grams(tokens: NDArray, of_bytes: bool) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Place in the hash table of each gram of each row, and whether it has no padding; a short row is one gram."""
    width = min(GRAM_BYTES if of_bytes else GRAM_TOKENS, tokens.shape[1])
    base = np.uint64(BYTES + 1) if of_bytes else MULTIPLIER
    windows = np.lib.stride_tricks.sliding_window_view(tokens, width, axis=1)
    packed = np.zeros(windows.shape[:2], dtype=np.uint64)
    for place in range(width):
        packed = packed * base + (windows[..., place].astype(np.int64) + 1).astype(np.uint64)
    counted: NDArray[np.bool_] = np.asarray((windows >= 0).all(-1))
    counted[:, 0] |= ~counted.any(1)
    return ((packed * MULTIPLIER) >> np.uint64(37)).astype(np.int64) % TABLE_BITS, counted


def _largest(tokens: Column) -> int:
    return max((int(block.max(initial=0)) for block in blocks(tokens, ROWS_AT_ONCE)), default=0)


def _seen_grams(tokens: Column, of_bytes: bool) -> NDArray[np.uint8]:
    bits = np.zeros(TABLE_BITS // 8, dtype=np.uint8)
    for block in blocks(tokens, ROWS_AT_ONCE):
        place, counted = _grams(block, of_bytes)
        chosen = np.unique(place[counted])
        np.bitwise_or.at(bits, chosen >> 3, np.uint8(1) << (chosen & 7).astype(np.uint8))
    return bits


def _vectors(features: NDArray) -> OutOfDistributionDetector:
    chosen = np.unique(np.linspace(0, len(features) - 1, min(MAX_TRAINING_VECTORS, len(features))).astype(int))
    centre = features.mean(0, dtype=np.float64)
    return OutOfDistributionDetector((), _unit(features[chosen].astype(np.float64) - centre), centre)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
