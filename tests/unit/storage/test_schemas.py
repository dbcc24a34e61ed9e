import pyarrow as pa
import pytest

from tests.unit.storage.rows import any_rows
from tribute_storage import SCHEMAS, Lake, LakeError
from tribute_storage.schemas import doc_of, schema_of


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_table_and_column_is_documented_and_names_its_run(table: str) -> None:
    schema = SCHEMAS[table]
    assert doc_of(schema)
    assert [field.name for field in schema if not doc_of(field)] == []
    assert schema.names[0] == "run_id"
    assert len(set(schema.names)) == len(schema.names)


def test_units_in_names_are_said_in_the_text_too() -> None:
    units = {"_nats": "nats", "_minor": "minor units", "_sha256": "SHA-256"}
    silent = [
        f"{table}.{field.name}"
        for table, schema in SCHEMAS.items()
        for field in schema
        for ending, unit in units.items()
        if field.name.endswith(ending) and unit not in doc_of(field)
    ]
    assert silent == []


def test_money_and_shares_are_never_floats() -> None:
    exact = {"share", "split"}
    types = {
        (table, field.name): field.type
        for table, schema in SCHEMAS.items()
        for field in schema
        if field.name in exact or field.name.endswith("_minor")
    }
    assert {kind for (_, name), kind in types.items() if name in exact} == {pa.string()}
    assert {kind for (_, name), kind in types.items() if name not in exact} == {pa.int64()}


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_table_survives_the_lake_bit_for_bit(table: str, tmp_path) -> None:
    rows = any_rows(table, 3)
    lake = Lake(tmp_path)
    assert lake.append(table, "r1", rows)
    assert pa.parquet.read_table(lake.files(table)[0]).cast(SCHEMAS[table]).equals(rows)


def test_an_unknown_table_is_named_with_those_that_exist() -> None:
    with pytest.raises(LakeError, match=r"no table 'influences'; it has: corpus_sources, .*influence"):
        schema_of("influences")
