"""A query has one pseudonym, whoever computes it: Python for pages, SQL for published files."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.storage.market import commit, market
from tribute_storage import Lake
from tribute_storage.publishing.pseudonyms import Pseudonyms
from tribute_storage.publishing.publish import publish


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def test_it_is_that_of_published_files(lake: Path, tmp_path: Path) -> None:
    publish(lake, tmp_path, publishers=[])
    with duckdb.connect(str(tmp_path / "operator.duckdb"), read_only=True) as file:
        found = dict(file.execute("SELECT query_id, published_id FROM published_queries").fetchall())
    own = Pseudonyms(Lake(lake))
    assert found and found == {query_id: own.of(query_id) for query_id in found}


@settings(max_examples=100, deadline=None)
@given(query_id=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_python_and_sql_agree(lake: Path, database: duckdb.DuckDBPyConnection, query_id: str) -> None:
    own = Pseudonyms(Lake(lake))
    assert database.execute(f"SELECT {own.sql('$1')}", [query_id]).fetchone() == (own.of(query_id),)


def test_other_lakes_have_other_ones(lake: Path, tmp_path: Path) -> None:
    commit(tmp_path / "lake", market())
    assert Pseudonyms(Lake(lake)).of("daily/7") != Pseudonyms(Lake(tmp_path / "lake")).of("daily/7")
    assert Pseudonyms(Lake(tmp_path / "nothing")).of("daily/7") != Pseudonyms(Lake(lake)).of("daily/7")
