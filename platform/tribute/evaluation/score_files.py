"""Scores of training examples for queries, as another project wrote them.

Legend: N training examples, Q queries, R rows of a file.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.errors import ConfigError
from tribute.evaluation.bank import BankSettings
from tribute.evaluation.bank_scores import check_scores
from tribute.files.parquet import read_parquet

Array = NDArray[np.float64]
EXAMPLE = ("example", "source")
"""Names of the column that says which training example a score is of."""


def read_scores(path: Path, settings: BankSettings) -> Array:
    """The scores of a file, [N, Q].

    A Parquet file has a row for each training example and query: columns `example` (or `source`) and `query`,
    whole numbers from 0 in the order of the setting's data, and `score`. Other columns are not read. An .npy file
    holds the matrix.

    Raises:
        ConfigError: the file cannot be read, a column is missing or of another type, a number is out of range, a
            pair has no score or two, or a score is not finite; says which, and the remedy.
    """
    readers = {".parquet": _long_table, ".npy": _matrix}
    if path.suffix not in readers:
        raise ConfigError(f"{path}: the name ends in neither .parquet nor .npy, the two kinds that are read")
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file. Name the scores that another program wrote")
    try:
        scores_NQ = readers[path.suffix](path, settings)
    except ConfigError:
        raise
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Write it again") from error
    check_scores(scores_NQ, settings, str(path))
    return scores_NQ


def _matrix(path: Path, _: BankSettings) -> Array:
    found = np.load(path, allow_pickle=False)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise ConfigError(f"{path}: it holds no array of numbers. Write scores as float32 or float64")
    return np.asarray(found, np.float64)


def _long_table(path: Path, settings: BankSettings) -> Array:
    table = read_parquet(path)
    named = [name for name in EXAMPLE if name in table.column_names]
    if len(named) != 1:
        raise ConfigError(f"{path}: the column `example` or `source` is expected, one of the two. {_there(table)}")
    example_R = _indices(path, table, named[0], settings.examples)
    query_R = _indices(path, table, "query", settings.queries)
    score_R = _column(path, table, "score", "f").astype(np.float64)
    pair_R = example_R * settings.queries + query_R
    counts_NQ = np.bincount(pair_R, minlength=settings.examples * settings.queries)
    if wrong := int((counts_NQ != 1).sum()):
        example, query = divmod(int(np.flatnonzero(counts_NQ != 1)[0]), settings.queries)
        times = int(counts_NQ[example * settings.queries + query])
        others = f", and {wrong - 1} other pairs are wrong, too" if wrong > 1 else ""
        raise ConfigError(
            f"{path}: example {example} and query {query} have {times or 'no'} score{'s' if times > 1 else ''}, "
            f"expected one{others}. Write a row for each of the {settings.examples} examples and "
            f"{settings.queries} queries; 0 where the method gives no score"
        )
    scores_NQ = np.empty(settings.examples * settings.queries)
    scores_NQ[pair_R] = score_R
    return scores_NQ.reshape(settings.examples, settings.queries)


def _indices(path: Path, table: pa.Table, name: str, count: int) -> NDArray[np.int64]:
    index_R = _column(path, table, name, "iu").astype(np.int64)
    outside_R = np.flatnonzero((index_R < 0) | (index_R >= count))
    if len(outside_R):
        raise ConfigError(
            f"{path}: row {outside_R[0]} has {name} {index_R[outside_R[0]]}, expected 0 to {count - 1}. Number "
            "them from 0 in the order of the setting's data"
        )
    return index_R


def _column(path: Path, table: pa.Table, name: str, kinds: str) -> NDArray:
    """A column without empty cells, whose numpy kind is one of `kinds`."""
    wanted = "whole numbers" if kinds == "iu" else "floats"
    if name not in table.column_names:
        raise ConfigError(f"{path}: there is no column `{name}`, expected {wanted}. {_there(table)}")
    column = table[name]
    if column.null_count:
        raise ConfigError(f"{path}: {column.null_count} cells of the column `{name}` are empty. Fill them")
    values_R = column.to_numpy()
    if values_R.dtype.kind not in kinds:
        raise ConfigError(f"{path}: the column `{name}` is of type {column.type}, expected {wanted}. Convert it")
    return np.asarray(values_R)


def _there(table: pa.Table) -> str:
    return f"There are: {', '.join(table.column_names) or 'none'}"
