import random
import struct
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.unit.storage.rows import any_rows, bag, varied_rows
from tribute_storage import SCHEMAS
from tribute_storage.layout import MIN_TILE_ROWS, parquet, row_groups
from tribute_storage.schemas import tile_of
from tribute_storage.staging import conform

TILE = tile_of("influence")


def influences(sources: int, queries: int) -> pa.Table:
    """Every pair once, in no order."""
    order = np.random.default_rng(0).permutation(sources * queries)
    source, query = np.divmod(order, queries)

    def ids(codes: np.ndarray, names: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), names)

    return pa.table(
        {
            "run_id": pa.array(["r"] * len(order)),
            "source_id": ids(source, [f"s{number:03}" for number in range(sources)]).cast(pa.string()),
            "replicate": pa.array([0] * len(order), pa.int32()),
            "query_id": ids(query, [f"q{number:05}" for number in range(queries)]).cast(pa.string()),
            "influence_nats": pa.array(source - query, pa.float32()),
            "std_error_nats": pa.array([0.5] * len(order), pa.float32()),
        }
    )


def encoded(rows: pa.Table) -> pa.Table:
    """The same rows, their ids dictionary-encoded."""
    for name in ("run_id", "source_id", "query_id"):
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].dictionary_encode())
    return rows


def written(table: str, rows: pa.Table, **options: int) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(parquet(table, conform(table, rows), **options)))


def range_of(group: pq.RowGroupMetaData, name: str) -> tuple[str, str]:
    index = next(i for i in range(group.num_columns) if group.column(i).path_in_schema == name)
    found = group.column(index).statistics
    return found.min, found.max


def numbers(group: pa.Table, name: str) -> np.ndarray:
    return pc.utf8_slice_codeunits(group[name].cast(pa.string()), 1).cast(pa.int32()).to_numpy()


def test_row_groups_are_whole_tiles_of_64_sources_by_4096_queries() -> None:
    groups = list(row_groups("influence", influences(130, 4100)))
    pairs = [np.stack([numbers(group, "source_id"), numbers(group, "query_id")], axis=1) for group in groups]
    together = np.concatenate(pairs)
    keys = np.column_stack([together // (64, 4096), together])
    assert np.array_equal(np.lexsort(keys.T[::-1]), np.arange(len(keys)))
    assert len(np.unique(together, axis=0)) == len(together) == 130 * 4100
    assert len(pairs[0]) == TILE["source_id"] * TILE["query_id"] == 64 * 4096
    for pair, following in pairwise(pairs):
        last = pair[-1] // (64, 4096)
        assert (last != following[0] // (64, 4096)).any()
        assert len(pair) >= MIN_TILE_ROWS > (pair // (64, 4096) != last).any(axis=1).sum()


def test_encoded_ids_give_the_same_row_groups() -> None:
    rows = influences(70, 4100)
    groups = row_groups("influence", encoded(rows)), row_groups("influence", rows)
    for found, expected in zip(*groups, strict=True):
        for name in ("source_id", "query_id"):
            assert np.array_equal(numbers(found, name), numbers(expected, name))


def touched(file: pq.ParquetFile, name: str, asked: str) -> int:
    """How many row groups may hold a value, by their statistics."""
    ranges = [range_of(file.metadata.row_group(number), name) for number in range(file.num_row_groups)]
    return sum(least <= asked <= greatest for least, greatest in ranges)


def test_one_source_touches_few_row_groups() -> None:
    file = written("influence", influences(256, 1000))
    assert file.num_row_groups == 4
    assert [touched(file, "source_id", asked) for asked in ("s000", "s100", "s255")] == [1, 1, 1]


def test_one_query_touches_few_row_groups() -> None:
    file = written("influence", influences(128, 4400))
    assert file.num_row_groups == 4
    assert [touched(file, "query_id", asked) for asked in ("q00000", "q04095", "q04096", "q04399")] == [2] * 4
    assert [touched(file, "source_id", asked) for asked in ("s063", "s064")] == [2, 2]


@pytest.mark.parametrize("table", ["statement_lines", "valuations", "statements"])
def test_one_publisher_touches_few_row_groups(table: str) -> None:
    payees = [f"p{number:02}" for number in range(50)] * 20
    random.Random(0).shuffle(payees)
    rows = any_rows(table, len(payees))
    rows = rows.set_column(rows.column_names.index("publisher_id"), "publisher_id", pa.array(payees))
    file = written(table, rows, row_group=100)
    assert file.num_row_groups == 10
    assert [touched(file, "publisher_id", asked) for asked in ("p00", "p23", "p49")] == [1, 1, 1]


@pytest.mark.parametrize("table", SCHEMAS)
def test_the_same_rows_in_another_order_are_the_same_sorted_rows(table: str) -> None:
    rows = varied_rows(table, "r", 60)
    backwards = rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))
    assert bag(*row_groups(table, rows)) == bag(*row_groups(table, backwards)) == bag(rows)
    assert [group.num_rows for group in row_groups(table, rows.slice(0, 0))] == [0]


def rounded_up(value: float) -> Fraction:
    """The least number of 8 significant bits that is not below `value`."""
    exact = Fraction(value)
    if not exact:
        return exact
    step = Fraction(1)
    while exact / step >= 256:
        step *= 2
    while exact / step < 128:
        step /= 2
    return -(-exact // step) * step


def test_standard_errors_are_rounded_up_to_8_significant_bits_and_never_down() -> None:
    draw = random.Random(1)
    patterns = [draw.randrange(0x00800000, 0x7F000000) for _ in range(4000)] + [
        0,
        0x3F800000,
        0x3F800001,
        0x3FFFFFFF,
    ]
    values = [struct.unpack("<f", struct.pack("<I", pattern))[0] for pattern in patterns]
    rows = influences(len(values), 1)
    place = rows.column_names.index("std_error_nats")
    rows = rows.set_column(place, "std_error_nats", pa.array(values, pa.float32()))
    rows = rows.set_column(place - 1, "influence_nats", pa.array(values, pa.float32()))
    found = written("influence", rows).read().to_pylist()
    assert len(found) == len(values)
    for row in found:
        assert (
            Fraction(row["std_error_nats"]) == rounded_up(row["influence_nats"]) >= Fraction(row["influence_nats"])
        )
        assert struct.unpack("<I", struct.pack("<f", row["std_error_nats"]))[0] % 2**16 == 0


def test_rounding_keeps_infinity_and_what_is_not_a_number() -> None:
    rows = influences(3, 1)
    odd = pa.array([float("inf"), float("nan"), 0.0], pa.float32())
    found = written("influence", rows.set_column(rows.column_names.index("std_error_nats"), "std_error_nats", odd))
    values = sorted(map(str, found.read()["std_error_nats"].to_pylist()))
    assert values == ["0.0", "inf", "nan"]


def test_what_a_list_holds_is_dictionary_encoded_too() -> None:
    group = written("retrains", varied_rows("retrains", "r", 100)).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i).encodings for i in range(group.num_columns)}
    assert "RLE_DICTIONARY" in columns["removed.list.element"]
