from pathlib import Path

from tribute_storage import SCHEMAS, connect, describe
from tribute_storage.querying.current import CURRENT
from tribute_storage.querying.macros import MACROS, VIEWS
from tribute_storage.querying.views import document


def described() -> list[tuple[str, str, str, str]]:
    return [tuple(row.values()) for row in describe().to_pylist()]


def test_it_says_of_every_column_what_the_views_say(tmp_path: Path) -> None:
    columns = (
        "SELECT if(schema_name = 'main', '', schema_name || '.') || table_name, column_name, data_type, comment "
        "FROM duckdb_columns() WHERE NOT internal"
    )
    with connect(tmp_path) as connection:
        document(connection)
        found = {row for row in connection.execute(columns).fetchall() if row[0].split(".")[-1] in SCHEMAS}
    said = {row for row in described() if row[1] != "*" and "(" not in row[0]}
    whole = {row for row in found if row[0].startswith("history.")}
    assert said - whole == found - whole
    assert {row[0] for row in said & whole} == {f"history.{table}" for table in CURRENT}
    assert said <= found
    assert len(whole) == sum(len(schema) for schema in SCHEMAS.values())


def test_views_and_macros_are_there_with_their_meaning() -> None:
    rows = described()
    assert {(name, "*", "view", doc) for name, doc in VIEWS.items()} <= set(rows)
    assert {(macro.call, "*", "macro", macro.doc) for macro in MACROS} <= set(rows)
    assert len(set(rows)) == len(rows)
    assert all(all(row) for row in rows)


def test_a_macros_columns_are_those_it_answers_with(tmp_path: Path) -> None:
    arguments = {"top_sources": "'q'", "publisher_value": "'2026-10'", "statement_lines": "'p', '2026-10'"}
    with connect(tmp_path) as connection:
        for macro in MACROS:
            if macro.name not in arguments:
                continue
            answer = connection.execute(f"DESCRIBE FROM {macro.name}({arguments[macro.name]})").fetchall()
            said = [(name, type_) for table, name, type_, _ in described() if table == macro.call and name != "*"]
            assert [(row[0], row[1]) for row in answer] == said
