"""Files of scores that other projects wrote: one matrix from every kind, or a refusal that names the fault."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.banks import EXAMPLES, QUERIES, linear_bank
from tribute.errors import ConfigError
from tribute.evaluation.score_files import read_scores

BANK, EFFECT_NQ = linear_bank()


def long_table(example: str = "example") -> pa.Table:
    """A row a pair, in no order."""
    order = np.random.default_rng(0).permutation(EXAMPLES * QUERIES)
    columns = {example: order // QUERIES, "query": order % QUERIES, "score": EFFECT_NQ.ravel()[order]}
    return pa.table(columns | {"method": ["ours"] * len(order)})


@pytest.mark.parametrize("example", ["example", "source"])
def test_a_parquet_file_and_a_matrix_hold_the_same(tmp_path: Path, example: str) -> None:
    pq.write_table(long_table(example), tmp_path / "scores.parquet")
    np.save(tmp_path / "scores.npy", EFFECT_NQ)
    for file in ("scores.parquet", "scores.npy"):
        np.testing.assert_array_equal(read_scores(tmp_path / file, BANK.settings), EFFECT_NQ)


Change = Callable[[pa.Table], pa.Table]


def put(name: str, values: object) -> Change:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values))


def changed(name: str, row: int, value: object) -> Change:
    def change(table: pa.Table) -> pa.Table:
        cells = table[name].to_pylist()
        return put(name, [*cells[:row], value, *cells[row + 1 :]])(table)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.drop_columns(["example"]),
            "`example` or `source` .* There are: query, score, method",
        ),
        (lambda table: table.append_column("source", table["example"]), "one of the two"),
        (lambda table: table.drop_columns(["score"]), "no column `score`, expected floats"),
        (
            lambda table: table.slice(1),
            "have no score, expected one. Write a row for each of the 60",
        ),
        (lambda table: table.slice(2), "expected one, and 1 other pairs are wrong, too"),
        (lambda table: pa.concat_tables([table, table.slice(4, 1)]), "have 2 scores, expected one"),
        (changed("example", 5, EXAMPLES), "row 5 has example 60, expected 0 to 59. Number them from 0"),
        (changed("query", 3, -1), "row 3 has query -1, expected 0 to 8"),
        (changed("score", 0, None), "1 cells of the column `score` are empty"),
        (changed("score", 0, float("nan")), r"the score of example \d+ for query \d is nan"),
        (put("example", [0.0] * EXAMPLES * QUERIES), "`example` is of type double, expected whole numbers"),
        (put("score", ["1"] * EXAMPLES * QUERIES), "`score` is of type string, expected floats"),
    ],
)
def test_a_table_that_is_not_one_score_a_pair_is_refused(tmp_path: Path, change: Change, message: str) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(change(long_table()), path)
    with pytest.raises(ConfigError, match=rf"scores\.parquet: .*{message}"):
        read_scores(path, BANK.settings)


def test_a_file_that_is_no_matrix_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "texts.npy", np.array(["a"]))
    np.save(tmp_path / "turned.npy", EFFECT_NQ.T)
    (tmp_path / "broken.npy").write_bytes(b"x")
    (tmp_path / "broken.parquet").write_bytes(b"x")
    for file, message in {
        "texts.npy": "it holds no array of numbers",
        "turned.npy": "Transpose them",
        "broken.npy": "cannot be read",
        "broken.parquet": "cannot be read",
        "absent.npy": "there is no such file",
        "scores.csv": r"ends in neither \.parquet nor \.npy",
    }.items():
        with pytest.raises(ConfigError, match=f"{file}.* {message}"):
            read_scores(tmp_path / file, BANK.settings)
