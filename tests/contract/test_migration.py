"""Lakes of earlier releases, and of later ones, are read, appended to and compacted."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.unit.storage.rows import any_rows, bag, varied_rows
from tribute_storage import SCHEMAS, Lake, LakeError, open_tables
from tribute_storage.columns import TEXT, optional, since_of, table
from tribute_storage.log import KEPT, TableLog
from tribute_storage.schemas import doc_of, order_of, tile_of, version_of
from tribute_storage.upkeep.maintenance import compact, orphans

GOLDEN = Path(__file__).parents[1] / "golden" / "lake_v1"
OLD_TABLES = sorted(path.name for path in GOLDEN.iterdir())


def old_schema(name: str) -> pa.Schema:
    """The columns that a table had in version 1 of the lake."""
    (path,) = (GOLDEN / name).glob("*.parquet")
    return pq.read_schema(path)


@pytest.fixture
def old(tmp_path: Path) -> Lake:
    shutil.copytree(GOLDEN, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def read(lake: Lake, relation: str, as_of: str | None = None) -> pa.Table:
    with open_tables(lake.root, as_of=as_of) as connection:
        return connection.sql(f"SELECT * FROM {relation}").to_arrow_table()


def old_rows(name: str) -> pa.Table:
    """The two rows of the old lake as today's schema shows them: what did not exist then is empty."""
    known = set(old_schema(name).names)
    rows = [
        {key: value if key in known else None for key, value in row.items()}
        for row in any_rows(name, 2).to_pylist()
    ]
    return pa.Table.from_pylist(rows, SCHEMAS[name])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if version_of(name) > 1 or tile_of(name) else pytest.mark.slow)
        for name in OLD_TABLES
    ],
)
def test_the_previous_releases_tables_are_read_appended_to_and_compacted(name: str, old: Lake) -> None:
    assert bag(read(old, name)) == bag(old_rows(name))
    assert old.committed(name, "r1")
    assert not old.append(name, "r1", any_rows(name))
    new = varied_rows(name, "r2")
    assert old.append(name, "r2", new)
    assert bag(read(old, name)) == bag(old_rows(name), new)
    assert compact(old, name) == (2, 1)
    assert bag(read(old, name)) == bag(old_rows(name), new)
    assert bag(read(old, name, f"{name}=0")) == bag(old_rows(name))
    assert read(old, f"as_of('{name}', 0)").column_names == old_schema(name).names
    assert orphans(old) == []
    settings = DeltaTable(old.location.path(name)).metadata().configuration
    assert KEPT.items() <= settings.items()


def test_old_runs_know_when_they_were_committed(old: Lake) -> None:
    log = (GOLDEN / "queries" / "_delta_log" / f"{0:020}.json").read_text().splitlines()
    timed = TableLog(old.location, "queries")
    assert timed.committed_at("r1") == json.loads(log[0])["commitInfo"]["timestamp"]
    assert timed.committed_at("r2") is None


def test_no_column_vanishes_or_changes_and_new_ones_may_be_empty() -> None:
    for name in OLD_TABLES:
        before = {field.name: (field.type, field.nullable) for field in old_schema(name)}
        today = {field.name: (field.type, field.nullable) for field in SCHEMAS[name]}
        assert {column: today.get(column) for column in before} == before
        later = [field for field in SCHEMAS[name] if field.name not in before]
        assert all(since_of(field) > 1 for field in later)
    for name, schema in SCHEMAS.items():
        assert all(field.nullable for field in schema if since_of(field) > 1), name
        assert version_of(name) == max(since_of(field) for field in schema)


@pytest.fixture(params=["publishers", "influence", "simulations"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def evolved(name: str) -> pa.Schema:
    """The table's schema in its next release: with a column more."""
    fields = list(SCHEMAS[name])[1:]
    later = optional("mood", TEXT, "how the row felt; empty: nobody asked", since=version_of(name) + 1)
    return table(doc_of(SCHEMAS[name]), *fields, later, sort_by=order_of(name), tile=tile_of(name))


def test_a_new_column_is_empty_in_old_rows_and_full_in_new_ones(
    name: str, evolved: pa.Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, before = Lake(tmp_path), varied_rows(name, "r1")
    lake.append(name, "r1", before)
    monkeypatch.setitem(SCHEMAS, name, evolved)
    then = before.append_column(evolved.field("mood"), pa.nulls(before.num_rows, TEXT))
    assert bag(read(lake, name)) == bag(then)
    after = varied_rows(name, "r2")
    with pytest.raises(LakeError, match="missing: mood"):
        lake.append(name, "r2", after.drop_columns(["mood"]))
    lake.append(name, "r2", after)
    assert bag(read(lake, name)) == bag(then, after)
    assert [field.name for field in DeltaTable(lake.location.path(name)).schema().fields] == evolved.names
    assert compact(lake, name) == (2, 1)
    assert bag(read(lake, name)) == bag(then, after)
    assert bag(read(lake, name, f"{name}=0")) == bag(then)
    assert bag(read(lake, f"as_of('{name}', 0)")) == bag(before)


def test_an_older_release_refuses_what_a_later_one_wrote_and_drops_nothing(
    name: str, evolved: pa.Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, before = Lake(tmp_path), varied_rows(name, "r1")
    lake.append(name, "r1", before)
    with monkeypatch.context() as newer:
        newer.setitem(SCHEMAS, name, evolved)
        new = varied_rows(name, "r2")
        lake.append(name, "r2", new)
    for act in (
        lambda: read(lake, name),
        lambda: lake.append(name, "r3", varied_rows(name, "r3")),
        lambda: compact(lake, name),
    ):
        with pytest.raises(
            LakeError, match=r"later release .* does not know its column mood. Use the release that"
        ):
            act()
    monkeypatch.setitem(SCHEMAS, name, evolved)
    empty = before.append_column(evolved.field("mood"), pa.nulls(before.num_rows, TEXT))
    assert bag(read(lake, name)) == bag(new, empty)


def test_compaction_rewrites_a_lone_file_of_an_older_version(
    name: str, evolved: pa.Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    lake.append(name, "r1", varied_rows(name, "r1"))
    assert compact(lake, name) == (1, 1)
    (old_file,) = lake.files(name)
    monkeypatch.setitem(SCHEMAS, name, evolved)
    expected = bag(read(lake, name))
    assert compact(lake, name) == (1, 1)
    (new_file,) = lake.files(name)
    assert pq.read_schema(old_file).names == evolved.names[:-1]
    assert pq.read_schema(new_file).names == evolved.names
    assert bag(read(lake, name)) == bag(read(lake, name, f"{name}=0")) == expected
