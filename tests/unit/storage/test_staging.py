import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.storage.rows import any_rows, publisher_rows
from tribute_storage import SCHEMAS, Lake, LakeError, StagedFile

ROWS = publisher_rows("r1", ["p1", "p2"])
VIOLATIONS: dict[str, tuple[Callable[[], pa.Table], str]] = {
    "missing": (lambda: ROWS.drop_columns(["name"]), "missing: name"),
    "unknown": (lambda: ROWS.append_column("nmae", ROWS["name"]), "unknown: nmae"),
    "twice": (lambda: ROWS.append_column("name", ROWS["name"]), "more than once: name"),
    "type": (
        lambda: ROWS.set_column(1, "publisher_id", pa.array([1, 2])),
        "publisher_id is int64, expected string",
    ),
    "null": (
        lambda: ROWS.set_column(1, "publisher_id", pa.array(["p1", None])),
        "publisher_id is empty in 1 of 2 rows",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_schema_violation_is_explained_and_leaves_nothing(violation: str, tmp_path: Path) -> None:
    rows, message = VIOLATIONS[violation]
    with pytest.raises(LakeError, match=f"table publishers .*{message}"):
        Lake(tmp_path / "lake").append("publishers", "r1", rows())
    assert not (tmp_path / "lake").exists()


def test_the_order_of_columns_is_the_schemas_own(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r1", ROWS.select(["name", "run_id", "publisher_id"]))
    assert pq.read_schema(lake.files("publishers")[0]).names == SCHEMAS["publishers"].names


def test_a_staged_file_is_compressed_with_encoded_ids_and_travels_between_processes(tmp_path: Path) -> None:
    staged = Lake(tmp_path).stage("influence", any_rows("influence", 100))
    assert pickle.loads(pickle.dumps(staged)) == staged
    path = tmp_path / staged.path
    group = pq.read_metadata(path).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert (path.stat().st_size, group.num_rows) == (staged.size, staged.rows) == (staged.size, 100)
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert "RLE_DICTIONARY" in columns["source_id"].encodings
    assert columns["source_id"].statistics.min == "text"


def test_equal_rows_staged_twice_are_two_files_with_equal_bytes(tmp_path: Path) -> None:
    first, second = (tmp_path / Lake(tmp_path).stage("publishers", ROWS).path for _ in range(2))
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("in the way")
    with pytest.raises(LakeError, match=r"Could not write 2 rows of table publishers .* run the stage again"):
        Lake(tmp_path / "lake").stage("publishers", ROWS)


@pytest.mark.parametrize("damage", ["deleted", "cut short", "of another table", "twice"])
def test_a_commit_refuses_files_that_are_not_what_was_staged(damage: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    staged = lake.stage("publishers", ROWS)
    files = [staged]
    if damage == "deleted":
        (tmp_path / staged.path).unlink()
    elif damage == "cut short":
        (tmp_path / staged.path).write_bytes(b"PAR1")
    elif damage == "of another table":
        files = [StagedFile(f"rights/{Path(staged.path).name}", staged.size, staged.rows)]
    else:
        files = [staged, staged]
    with pytest.raises(LakeError, match=r"run the stage again|handed in twice"):
        lake.commit("publishers", "r1", files)
    assert lake.version("publishers") is None
