"""BM25: the terms that training examples share with queries, a lexical baseline that ignores the model.

Legend: N training examples, R query rows, T positions of a row, Q queries, G groups, K distinct terms of the
training set, k of them in queries, E pairs of a term and an example that has it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from tribute.corpus import Column, blocks
from tribute.errors import ConfigError
from tribute.estimators.estimator import ModelFree, NamedTensors, Trained
from tribute.readout import QueryRows

LAST_BYTE = 255
ROWS = 4096
"""Training examples whose terms are found at once."""
HASH_BASE = np.uint64(0x9E3779B97F4A7C15)
"""An odd number that spreads words over 64 bits."""
LOWER = np.array([*bytes(range(LAST_BYTE + 1)).lower()], dtype=np.uint64)
IN_WORDS = np.array([byte > 127 or chr(byte).isalnum() for byte in range(LAST_BYTE + 1)])
TERMS = ("auto", "words", "tokens")


@dataclass(frozen=True)
class Bm25(ModelFree):
    """Okapi BM25 of training examples for a query, by the terms that they share; ignores the model (text only).

    Sum over the examples of the group, and over the terms t of the query's rows, of

        log(1 + (N - n + 1/2) / (n + 1/2)) tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)),

    with tf the number of times that the example has t, n the number of training examples that have it, and length
    the number of terms of the example. A term that a query repeats counts each time. The logarithm is of 1 + the
    paper's odds, as in Lucene, so that no shared term counts against an example. Dimensionless, never negative.

    Terms are the tokens of a tokenizer. Where tokens are bytes, terms are words: runs of letters, digits and bytes
    above 127, in lower case. The edge of a window cuts a word. Text without spaces needs a tokenizer.

    N and n are of the training set, whatever the groups. A query costs the examples that have its terms.

    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.
    """

    k1: float = 1.2
    """How much more a term counts that an example repeats; 0: no more."""
    b: float = 0.75
    """How far the length of an example is divided out, from 0 to 1."""
    terms: str = "auto"
    """`tokens`, `words` (of bytes), or `auto`: words if no token of the training set is above 255."""

    def __post_init__(self) -> None:
        if self.k1 < 0 or not 0 <= self.b <= 1 or self.terms not in TERMS:
            raise ConfigError(
                f"bm25: k1 is {self.k1:g}, b {self.b:g} and terms {self.terms!r}. Set k1 to at least 0, b from "
                f"0 to 1, and terms to one of {', '.join(TERMS)}"
            )

    def fit(self, trained: Trained) -> NamedTensors:
        """Weights of terms in examples [E], the example of each, terms [K], where each begins [K + 1], their kind.

        Raises:
            ConfigError: the training examples are not text, or `terms` is `words` and they are not bytes.
        """
        tokens_NT, count = self._texts(trained), len(trained.data)
        words = self._in_words(tokens_NT)
        found = [terms_of(block_nT, words) for block_nT in blocks(tokens_NT, ROWS)]
        row = np.concatenate([own + index * ROWS for index, (own, _) in enumerate(found)])
        code = np.concatenate([own for _, own in found])
        term_K, place = np.unique(code, return_inverse=True)
        tf_KN = _counts(place, row, (len(term_K), count))
        length_N, documents_K = np.bincount(row, minlength=count), np.diff(tf_KN.indptr)
        relative_N = length_N / max(length_N.mean(), np.finfo(float).tiny)
        tf_E, scale_N = tf_KN.data, self.k1 * (1 - self.b + self.b * relative_N)
        rarity_K = np.log1p((count - documents_K + 0.5) / (documents_K + 0.5))
        weight_E = rarity_K.repeat(documents_K) * tf_E * (self.k1 + 1) / (tf_E + scale_N[tf_KN.indices])
        fitted = {
            "words": torch.tensor(words),
            "term_K": torch.from_numpy(term_K),
            "begin_K": torch.from_numpy(tf_KN.indptr.astype(np.int64)),
            "example_E": torch.from_numpy(tf_KN.indices.astype(np.int64)),
            "weight_E": torch.from_numpy(weight_E).to(trained.theta_P.dtype),
        }
        return {name: tensor.to(trained.device) for name, tensor in fitted.items()}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class.

        Raises:
            ConfigError: the queries are not text.
        """
        if "tokens" not in queries.columns:
            raise ConfigError(
                f"bm25 compares texts, in a column named tokens; the queries have {', '.join(queries.columns)}. "
                "Give it queries of text"
            )
        arrays = {name: tensor.cpu().numpy() for name, tensor in {**fitted, **gathered}.items()}
        row, code = terms_of(np.asarray(queries.columns["tokens"]), bool(fitted["words"]))
        known = np.isin(code, arrays["term_K"])
        used_k, place = np.unique(np.searchsorted(arrays["term_K"], code[known]), return_inverse=True)
        count_Qk = _counts(queries.query_N[row[known]], place, (len(queries.query_ids), len(used_k)))
        shape_KN = (len(arrays["term_K"]), len(arrays["group_N"]))
        weight_KN = csr_array(
            (arrays["weight_E"].astype(float), arrays["example_E"], arrays["begin_K"]), shape=shape_KN
        )
        [inside] = np.nonzero(arrays["group_N"] >= 0)
        member_NG = _counts(inside, arrays["group_N"][inside], (shape_KN[1], len(arrays["size_G"])))
        influence_QG = (count_Qk @ (weight_KN[used_k] @ member_NG)).toarray()
        return torch.from_numpy(influence_QG).to(trained.theta_P)

    def _texts(self, trained: Trained) -> Column:
        tokens = trained.data.columns.get("tokens")
        if tokens is None or tokens.ndim != 2 or tokens.dtype.kind not in "iu":
            raise ConfigError(
                "bm25 compares texts, in a column named tokens; the training set has "
                f"{', '.join(trained.data.columns)}. Use nearest, or patches for images"
            )
        return tokens

    def _in_words(self, tokens_NT: Column) -> bool:
        """Whether terms are words of bytes."""
        largest = max((int(block_nT.max(initial=0)) for block_nT in blocks(tokens_NT, ROWS)), default=0)
        if self.terms == "words" and largest > LAST_BYTE:
            raise ConfigError(f"bm25: terms is words, but token {largest} is no byte. Set terms to tokens")
        return self.terms == "words" or (self.terms == "auto" and largest <= LAST_BYTE)


def terms_of(row_NT: NDArray[np.integer], words: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and number of every occurrence of a term; -1 is padding.

    Args:
        words: tokens are bytes, and terms the words in them, by a hash of 64 bits; otherwise each token is a term.
    """
    tokens_NT = row_NT.astype(np.int64)
    if not words:
        row, column = np.nonzero(tokens_NT >= 0)
        return row, tokens_NT[row, column]
    byte_NT = np.clip(tokens_NT, 0, LAST_BYTE)
    inside_NT = (tokens_NT == byte_NT) & IN_WORDS[byte_NT]
    code_NT, code_N = np.zeros(tokens_NT.shape, dtype=np.uint64), np.zeros(len(tokens_NT), dtype=np.uint64)
    for position in range(tokens_NT.shape[1]):
        code_N = (code_N * HASH_BASE + LOWER[byte_NT[:, position]] + np.uint64(1)) * inside_NT[:, position]
        code_NT[:, position] = code_N
    ends_NT = inside_NT & ~np.pad(inside_NT[:, 1:], ((0, 0), (0, 1)))
    row, column = np.nonzero(ends_NT)
    return row, code_NT[row, column].view(np.int64)


def _counts(row: NDArray[np.int64], column: NDArray[np.int64], shape: tuple[int, int]) -> csr_array:
    """How often each pair of a row and a column occurs."""
    return csr_array(coo_array((np.ones(len(row)), (row, column)), shape=shape))
