"""The influence rows of many sources at once, against a loop over every value."""

import numpy as np
import pyarrow as pa
import pytest

from tribute.readout import influence_rows
from tribute_storage import SCHEMAS, Lake, open_tables
from tribute_storage.layout import row_groups
from tribute_storage.staging import conform

SOURCES = [f"publisher-{index % 3}/imprint-{index:03}" for index in range(130)]
QUERIES = [f"{index * 7919 % 9001:032x}" for index in range(9001)]


def values(replicates: int, queries: int, sources: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = replicates, queries, sources
    return rng.standard_t(3, shape), rng.gamma(2, 1, shape)


def looped(influence_RQS: np.ndarray, error_RQS: np.ndarray) -> list[dict[str, object]]:
    replicates, queries, sources = influence_RQS.shape
    return [
        {
            "run_id": "run",
            "source_id": SOURCES[s],
            "replicate": r,
            "query_id": QUERIES[q],
            "influence_nats": float(np.float32(influence_RQS[r, q, s])),
            "std_error_nats": float(np.float32(error_RQS[r, q, s])),
        }
        for s in range(sources)
        for r in range(replicates)
        for q in range(queries)
        if np.isfinite(influence_RQS[r, q, s])
    ]


@pytest.mark.parametrize("failed", [False, True])
def test_rows_are_those_of_a_loop_over_every_finite_value(failed: bool) -> None:
    influence_RQS, error_RQS = values(2, 5, 3)
    if failed:
        influence_RQS[1, 3, 2], influence_RQS[0, :, 1] = np.inf, np.nan
    rows = influence_rows("run", SOURCES[:3], QUERIES[:5], influence_RQS, error_RQS)
    assert rows.to_pylist() == looped(influence_RQS, error_RQS)


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (2, 5, 0)])
def test_nothing_makes_no_rows_that_still_fit_the_table(shape: tuple[int, int, int]) -> None:
    influence_RQS, error_RQS = values(*shape)
    rows = influence_rows("run", SOURCES[: shape[2]], QUERIES[: shape[1]], influence_RQS, error_RQS)
    assert conform("influence", rows).num_rows == 0


def test_staged_rows_come_back_as_the_same_rows(tmp_path) -> None:
    influence_RQS, error_RQS = values(2, 40, 70)
    influence_RQS[0, 7] = np.nan
    error_RQS = np.exp2(np.round(np.log2(error_RQS)))  # one significant bit: the schema keeps it
    lake = Lake(tmp_path / "lake")
    lake.append("influence", "run", influence_rows("run", SOURCES[:70], QUERIES[:40], influence_RQS, error_RQS))
    with open_tables(lake.root) as connection:
        read = connection.sql("select * from influence").to_arrow_table().to_pylist()
    key = ("source_id", "replicate", "query_id")
    expected = looped(influence_RQS, error_RQS)
    assert sorted(read, key=lambda row: [row[name] for name in key]) == sorted(
        expected, key=lambda row: [row[name] for name in key]
    )


def test_row_groups_are_sorted_tiles_and_small_tiles_share_one() -> None:
    influence_RQS, error_RQS = values(1, 9001, 130)
    encoded = conform("influence", influence_rows("run", SOURCES, QUERIES, influence_RQS, error_RQS))
    groups = [group.cast(SCHEMAS["influence"]) for group in row_groups("influence", encoded)]
    plain = list(row_groups("influence", encoded.cast(SCHEMAS["influence"])))
    whole = [64 * 4096, 64 * 4096, 64 * 809]
    assert [group.num_rows for group in groups] == [*whole, *whole, 2 * 2 * 4096, 2 * 809]
    assert all(left.equals(right) for left, right in zip(groups, plain, strict=True))
    for group in groups[:6]:
        keys = list(zip(group["source_id"].to_pylist(), group["query_id"].to_pylist(), strict=True))
        assert keys == sorted(keys)
    everything = pa.concat_tables(groups).sort_by([("source_id", "ascending"), ("query_id", "ascending")])
    assert everything.equals(
        encoded.cast(SCHEMAS["influence"]).sort_by([("source_id", "ascending"), ("query_id", "ascending")])
    )
