"""Examples and queries as users hold them, checked and turned into arrays.

Legend: N examples, S sources, Q queries.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.corpus import Accounting, Column, QueryTable, column_queries
from tribute.corpus.numbers import kept
from tribute.corpus.sources import training_tokens
from tribute.errors import CorpusError
from tribute.ids import ascii_excerpt, checked_id, excerpt, listed, look_alikes
from tribute.training import TrainingSet

Columns = dict[str, NDArray]


def training_set(by_source: Mapping[str, Any]) -> TrainingSet:
    """The examples of all sources, in the order of the source ids.

    Args:
        by_source: source id to columns: a mapping of arrays, a `datasets.Dataset`, or a data frame.

    Raises:
        CorpusError: fewer than two sources, an empty one, or columns that differ between sources, have no
            fixed shape or hold NaN.
    """
    if not isinstance(by_source, Mapping):
        raise CorpusError(
            f"by_source is a {type(by_source).__name__}. Give a mapping from source id to columns, such as "
            '{"daily": {"features": x, "labels": y}, ...}'
        )
    if len(by_source) < 2:
        names = listed(map(str, by_source))
        raise CorpusError(f"by_source holds {len(by_source)} source(s): {names}. Give at least two")
    found = dict(_source(source_id, columns) for source_id, columns in by_source.items())
    if len(found) < len(by_source):
        raise CorpusError("Two source ids of by_source are the same in Unicode's form NFC. Merge the sources")
    for one, other in look_alikes(sorted(found)):
        warnings.warn(
            f"Sources {ascii_excerpt(one)} and {ascii_excerpt(other)} look alike. Are they one?", stacklevel=3
        )
    first = next(iter(found))
    for source_id, columns in found.items():
        for name in sorted(columns.keys() ^ found[first].keys()):
            both = f"{sorted(found[first])} and {sorted(columns)}"
            raise CorpusError(
                f"Sources {excerpt(first)} and {excerpt(source_id)} have different columns: {both}. Give column "
                f"{name!r} to both or to neither"
            )
        for name, values in columns.items():
            _alike(name, values, found[first][name], (f"source {excerpt(source_id)}", f"source {excerpt(first)}"))
    return TrainingSet.assemble(found)


def sources_of(data: TrainingSet) -> Iterator[tuple[str, Columns]]:
    """Source ids with the columns of each source."""
    for index, source_id in enumerate(data.source_ids):
        members = data.source_N == index
        yield source_id, {name: values[members] for name, values in data.columns.items()}


def _alike(name: str, values: NDArray, others: Column, where: tuple[str, str]) -> None:
    """Check that two columns have rows of one shape, and both integers or both floats.

    Raises:
        CorpusError: they do not; numbers of both kinds in one array would change the larger integers.
    """
    if values.shape[1:] != others.shape[1:]:
        raise CorpusError(
            f"Column {name!r} has rows of shape {values.shape[1:]} in {where[0]} and {others.shape[1:]} in "
            f"{where[1]}. Prepare both alike"
        )
    if (values.dtype.kind == "f") != (others.dtype.kind == "f"):
        raise CorpusError(
            f"Column {name!r} is {values.dtype} in {where[0]} and {others.dtype} in {where[1]}. Give both "
            "integers or both floats"
        )


def token_counts(data: TrainingSet, tokens: Mapping[str, int] | None) -> tuple[int, ...]:
    """How much each source holds, in the order of the training set.

    Without `tokens`: see `tribute.corpus.sources.training_tokens`.

    Raises:
        CorpusError: a source has no count, or one that is not a whole number above 0.
    """
    if tokens is None:
        return tuple(training_tokens(columns) for _, columns in sources_of(data))
    wrong = sorted(set(tokens) ^ set(data.source_ids))
    if wrong:
        raise CorpusError(f"tokens and by_source must name the same sources; only one names {listed(wrong)}")
    for source_id, count in tokens.items():
        if int(count) != count or count < 1:
            raise CorpusError(f"tokens[{excerpt(source_id)}] is {count!r}. Give a whole number above 0")
    return tuple(int(tokens[source_id]) for source_id in data.source_ids)


def query_table(
    queries: Any, data: TrainingSet, ids: Sequence[str] | None, weights: Sequence[float] | None
) -> QueryTable:
    """Queries as a table; one is returned as it is.

    Args:
        queries: columns, each [Q, ...]: those of the examples, as far as the task's measurement needs them.
        ids: one per query; by default their positions.
        weights: how often each query was asked; by default once.

    Raises:
        CorpusError: no query, columns that do not fit those of the examples, or ids or weights of another length.
    """
    if isinstance(queries, QueryTable):
        return queries
    columns = _columns("queries", queries)
    count = len(next(iter(columns.values())))
    for name in columns.keys() & data.columns.keys():
        _alike(name, columns[name], data.columns[name], ("the queries", "the examples"))
        columns[name] = columns[name].astype(
            np.result_type(columns[name].dtype, data.columns[name].dtype), copy=False
        )
    for name, given in (("ids", ids), ("weights", weights)):
        if given is not None and len(given) != count:
            raise CorpusError(f"{name} has {len(given)} entries for {count} queries. Give one per query")
    counts = None if weights is None else [float(weight) for weight in weights]
    if counts is not None and not all(0 <= weight < float("inf") for weight in counts):
        raise CorpusError("weights must be finite and at least 0: how often each query was asked")
    names = [f"{i:06d}" for i in range(count)] if ids is None else [_id("A query id", str(name)) for name in ids]
    return column_queries(names, columns, Accounting(weights=counts))


def _source(source_id: object, columns: Any) -> tuple[str, Columns]:
    name = _id("A source id", source_id)
    return name, _columns(f"source {excerpt(name)}", columns)


def _id(what: str, value: object) -> str:
    try:
        return checked_id(value)
    except ValueError as problem:
        raise CorpusError(f"{what} {problem}") from None


def _columns(where: str, given: Any) -> Columns:
    """Columns as arrays of one length, in single precision where they are floats."""
    found = {name: _array(where, name, values) for name, values in _named(where, given).items()}
    lengths = {name: len(values) for name, values in found.items()}
    if not lengths or not max(lengths.values()):
        raise CorpusError(f"{where.capitalize()} is empty. Give it at least one row, or leave it out")
    if len(set(lengths.values())) > 1:
        raise CorpusError(f"The columns of {where} have different lengths: {lengths}. Give one entry per row")
    return found


def _named(where: str, given: Any) -> dict[str, Any]:
    names = given.keys() if isinstance(given, Mapping) else getattr(given, "column_names", None)
    if names is None:
        names = getattr(given, "columns", None)
    if names is None:
        raise CorpusError(
            f"{where.capitalize()} is a {type(given).__name__}. Give columns by name, such as "
            '{"features": x, "labels": y}, or a datasets.Dataset'
        )
    return {str(name): given[name] for name in names}


def _array(where: str, name: str, values: Any) -> NDArray:
    if np.ma.is_masked(values):
        raise CorpusError(f"Column {name!r} of {where} has masked entries, which hold no value. Fill or drop them")
    try:
        if isinstance(values, Tensor):
            plain = values.detach().cpu()
            values = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        found = np.zeros(0, dtype=object)
    if found.dtype.kind not in "fiub" or not found.ndim:
        raise CorpusError(
            f"Column {name!r} of {where} is no array of numbers with one shape per row. Convert it, and pad rows "
            "of different lengths"
        )
    found = kept(found, f"Column {name!r} of {where}")
    bad = np.unique(np.argwhere(~np.isfinite(found))[:, 0])
    if len(bad):
        raise CorpusError(f"Column {name!r} of {where} holds NaN or infinity in row {bad[0]}. Repair or drop it")
    return np.ascontiguousarray(found)
