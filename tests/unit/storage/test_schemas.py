import re

import pyarrow as pa
import pytest

from tribute_storage import SCHEMAS, LakeError
from tribute_storage.schemas import columns_at, doc_of, order_of, schema_of, tile_of, version_of


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


def test_units_in_texts_are_said_in_the_name_too() -> None:
    units = {r"\bnats\b": "_nats", r"\bminor units\b": "_minor"}
    exceptions = {
        "estimates.nats",  # an estimator's row is in the estimator's own unit
        "statements.currency_exponent",  # says what a minor unit is
    }
    unnamed = {
        f"{table}.{field.name}"
        for table, schema in SCHEMAS.items()
        for field in schema
        for unit, ending in units.items()
        if re.search(unit, doc_of(field)) and not field.name.endswith(ending)
    }
    assert unnamed == exceptions


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
def test_rows_are_sorted_and_tiled_by_columns_of_the_table(table: str) -> None:
    assert set(order_of(table)) <= set(SCHEMAS[table].names)
    assert set(tile_of(table)) <= set(order_of(table))
    assert columns_at(table, version_of(table)) == set(SCHEMAS[table].names)
    assert "run_id" in columns_at(table, 1)


def test_an_unknown_table_is_named_with_those_that_exist() -> None:
    with pytest.raises(LakeError, match=r"no table 'influences'; it has: projects, corpus_sources, .*influence"):
        schema_of("influences")
