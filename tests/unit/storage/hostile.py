"""What somebody might send as a query to do harm: a name, the statement, and how the refusal reads.

$OUT is a new file, $FILE a committed one, $STAGED one that no version holds; $SECRET and $FOLDER lie outside the
lake, and $LINK is a link to $SECRET inside it.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from string import Template

import duckdb
import pyarrow as pa

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake
from tribute_storage.querying.reading_only import require_reading_only

SECRET = "hushhush4711"
python_variable = pa.table({"a": [SECRET]})
"""DuckDB takes a table's name for a variable of the function that asks, or of its module: see `attempt`."""
COPY = "COPY (SELECT 9) TO '$FILE' (FORMAT parquet, USE_TMP_FILE false)"
INSIDE = "COPY inside a query is refused"
Statements = dict[str, tuple[str, str]]

WRITES: Statements = {
    "copy": ("COPY publishers TO '$OUT'", "COPY is refused"),
    "copy by partition": ("COPY publishers TO '$OUT' (PARTITION_BY (run_id))", "COPY is refused"),
    "copy by thread": ("COPY publishers TO '$OUT' (PER_THREAD_OUTPUT)", "COPY is refused"),
    "copy from": ("COPY publishers FROM '$SECRET'", "COPY is refused"),
    "copy database": ("COPY FROM DATABASE memory TO other", "PRAGMA is refused"),
    "copy in with": ("WITH x AS (COPY (SELECT 1) TO '$OUT') SELECT 1", INSIDE),
    "copy over a committed file": (f"WITH x AS ({COPY}) FROM x", INSIDE),
    "copy in a nested with": (f"WITH y AS (WITH x AS ({COPY}) FROM x) FROM y", INSIDE),
    "copy in a subquery": (f"SELECT (WITH x AS ({COPY}) SELECT 1)", INSIDE),
    "copy in a lateral": (f"FROM publishers, LATERAL (WITH x AS ({COPY}) FROM x)", INSIDE),
    "copy in a union": (f"SELECT 1 UNION (WITH x AS ({COPY}) SELECT 2)", INSIDE),
    "copy in where": (f"FROM publishers WHERE EXISTS (WITH x AS MATERIALIZED ({COPY}) FROM x)", INSIDE),
    "copy in order by": (f"SELECT 1 ORDER BY (WITH x AS ({COPY}) SELECT 1)", INSIDE),
    "copy in limit": (f"SELECT 1 LIMIT (WITH x AS ({COPY}) SELECT 1)", INSIDE),
    "copy in a lambda": (f"SELECT list_transform([1], lambda a: (WITH x AS ({COPY}) SELECT a))", INSIDE),
    "copy in an argument": (f"FROM range((WITH x AS ({COPY}) SELECT 1))", INSIDE),
    "copy in describe": (f"DESCRIBE (WITH x AS ({COPY}) FROM x)", INSIDE),
    "copy in a window": (f"SELECT sum(1) OVER (ORDER BY (WITH x AS ({COPY}) SELECT 1))", INSIDE),
    "copy in serialized sql": (
        "FROM json_execute_serialized_sql(json_serialize_sql('WITH x AS (COPY (SELECT 9) TO ''$FILE'') FROM x'))",
        "Table function json_execute_serialized_sql is refused",
    ),
    "copy in query()": ("FROM query('COPY publishers TO ''$OUT''')", "Table function query is refused"),
    "explain": ("EXPLAIN SELECT 1", "EXPLAIN is refused"),
    "explain analyze copy": ("EXPLAIN ANALYZE COPY publishers TO '$OUT'", "EXPLAIN is refused"),
    "prepare": ("PREPARE p AS COPY publishers TO '$OUT'", "PREPARE is refused"),
    "execute": ("EXECUTE p", "EXECUTE is refused"),
    "export": ("EXPORT DATABASE '$OUT'", "EXPORT is refused"),
    "import": ("IMPORT DATABASE '$FOLDER'", "PRAGMA is refused"),
    "create table": ("CREATE TABLE t AS SELECT 1", "CREATE is refused"),
    "create view": ("CREATE OR REPLACE VIEW publishers AS SELECT 1", "CREATE is refused"),
    "create macro": ("CREATE MACRO f(x) AS TABLE FROM read_text(x)", "CREATE is refused"),
    "create temporary": ("CREATE TEMP TABLE t (a INT)", "CREATE is refused"),
    "create sequence": ("CREATE SEQUENCE s", "CREATE is refused"),
    "insert": ("INSERT INTO publishers VALUES (1)", "INSERT is refused"),
    "insert in with": (
        "WITH x AS (INSERT INTO publishers VALUES (1) RETURNING 1) FROM x",
        "INSERT inside a query",
    ),
    "update": ("UPDATE publishers SET name = 'x'", "UPDATE is refused"),
    "update in with": ("WITH x AS (UPDATE publishers SET name = '' RETURNING 1) FROM x", "UPDATE inside a query"),
    "delete": ("DELETE FROM publishers", "DELETE is refused"),
    "delete in with": ("WITH x AS (DELETE FROM rights RETURNING 1) FROM x", "DELETE inside a query is refused"),
    "merge": (
        "MERGE INTO publishers USING rights USING (publisher_id) WHEN MATCHED THEN DELETE",
        "MERGE_INTO is refused",
    ),
    "alter": ("ALTER VIEW publishers RENAME TO p", "ALTER is refused"),
    "comment": ("COMMENT ON VIEW publishers IS 'x'", "ALTER is refused"),
    "drop": ("DROP VIEW publishers", "DROP is refused"),
    "truncate": ("TRUNCATE publishers", "DELETE is refused"),
    "vacuum": ("VACUUM", "VACUUM is refused"),
    "analyze": ("ANALYZE", "(ANALYZE|VACUUM) is refused"),
    "checkpoint": ("CHECKPOINT", "CALL is refused"),
    "checkpoint as a table": ("FROM checkpoint()", "Table function checkpoint is refused"),
    "transaction": ("BEGIN", "TRANSACTION is refused"),
    "sequence": ("SELECT nextval('s'), setval('s', 1)", "Function (next|set)val is refused"),
    "log": ("SELECT write_log('x')", "Function write_log is refused"),
    "log to a file": ("FROM enable_logging(storage = 'file', storage_path = '$OUT')", "enable_logging is refused"),
    "profile to a file": ("FROM enable_profiling(save_location = '$OUT')", "enable_profiling is refused"),
}

READS: Statements = {
    **{
        f"{function}": (f"FROM {function}('$SECRET')", f"Table function {function} is refused")
        for function in (
            *("read_csv", "read_csv_auto", "read_text", "read_blob", "read_parquet", "parquet_scan", "read_json"),
            *("read_json_objects", "read_ndjson", "parquet_metadata", "parquet_schema", "parquet_file_metadata"),
            *("parquet_kv_metadata", "sniff_csv", "glob", "read_duckdb", "read_single_csv_file"),
        )
    },
    "read by schema": ("FROM main.read_text('$SECRET')", "Table function read_text is refused"),
    "read in capitals": ("FROM Read_Text('$SECRET')", "Table function read_text is refused"),
    "read in quotes": ("FROM \"read_text\"('$SECRET')", "Table function read_text is refused"),
    "read as a column": ("SELECT read_text('$SECRET')", "Function read_text is refused"),
    "read by method": ("SELECT '$SECRET'.read_text()", "Function read_text is refused"),
    "read in a lateral": ("FROM (SELECT '$SECRET' f) t, read_text(t.f)", "Table function read_text is refused"),
    "committed file": ("FROM read_parquet('$FILE')", "Table function read_parquet is refused"),
    "committed file by name": ("FROM '$FILE'", "Table .* is refused"),
    "staged file": ("FROM '$STAGED'", "Table .* is refused"),
    "older files' names": ("SELECT _files_of('publishers', 0)", "Function _files_of is refused"),
    "file by name": ("SELECT * FROM '$SECRET'", "Table .*secret.csv is refused"),
    "file in quotes": ('SELECT * FROM "$SECRET"', "Table .*secret.csv is refused"),
    "file by dots": ("FROM secret.csv", "Table secret.csv is refused"),
    "file by more dots": ("FROM a.secret.csv", "Table a.secret.csv is refused"),
    "file upwards": ("FROM '../secret.csv'", "is refused"),
    "file behind a link": ("FROM '$LINK'", "Table .*link.csv is refused"),
    "file named as a with": (
        'FROM (WITH "$SECRET" AS (SELECT 1) SELECT 1) a, "$SECRET"',
        "Table .*secret.csv is refused",
    ),
    "file in describe": ("DESCRIBE '$SECRET'", "Table .*secret.csv is refused"),
    "file in summarize": ("SUMMARIZE '$SECRET'", "Table .*secret.csv is refused"),
    "file in show": ("SHOW '$SECRET'", "is refused"),
    "file in pivot": ("PIVOT '$SECRET' ON a IN (1) USING count(*)", "is refused"),
    "file in a subquery": ("SELECT (SELECT a FROM '$SECRET')", "is refused"),
    "file of the kernel": ("FROM '/proc/self/environ'", "Table /proc/self/environ is refused"),
    "text of the kernel": ("FROM read_text('/proc/self/environ')", "Table function read_text is refused"),
    "file url": ("FROM 'file://$SECRET'", "is refused"),
    "s3 url": ("FROM 's3://bucket/secret.csv'", "is refused"),
    "http url": ("FROM 'http://localhost:1/secret.csv'", "is refused"),
    "read of an http url": ("FROM read_csv('http://localhost:1/secret.csv')", "read_csv is refused"),
    "table by text": ("FROM query_table('$SECRET')", "Table function query_table is refused"),
    "table by text in a macro": ("FROM histogram_values('$SECRET', a)", "histogram_values is refused"),
    "plan of a read": (
        "SELECT json_serialize_plan('SELECT * FROM read_text(''$SECRET'')')",
        "Function json_serialize_plan is refused",
    ),
    "environment": ("SELECT getenv('HOME')", "Function getenv is refused"),
}

OUTSIDE: Statements = {
    "attach": ("ATTACH '$OUT'", "ATTACH is refused"),
    "attach and write": ("ATTACH '$OUT' AS o; CREATE TABLE o.t AS SELECT 1", "Got 2 statements"),
    "detach": ("DETACH memory", "DETACH is refused"),
    "install": ("INSTALL httpfs", "LOAD is refused"),
    "install from": ("FORCE INSTALL x FROM 'http://localhost:1'", "LOAD is refused"),
    "load": ("LOAD '$SECRET'", "LOAD is refused"),
    "set": ("SET enable_external_access = true", "SET is refused"),
    "set global": ("SET GLOBAL lock_configuration = false", "SET is refused"),
    "set a variable": ("SET VARIABLE x = 1", "SET is refused"),
    "reset": ("RESET memory_limit", "SET is refused"),
    "pragma": ("PRAGMA memory_limit = '1TB'", "is refused"),
    "pragma call": ("PRAGMA database_list", "PRAGMA is refused"),
    "use": ("USE memory", "SET is refused"),
    "call": ("CALL pragma_version()", "CALL is refused"),
    "secret": ("CREATE SECRET s (TYPE s3)", "CREATE is refused"),
    "secrets": ("FROM duckdb_secrets()", "Table function duckdb_secrets is refused"),
    "which secret": ("FROM which_secret('s3://x', 's3')", "Table function which_secret is refused"),
    "settings": ("FROM duckdb_settings()", "Table function duckdb_settings is refused"),
    "settings by view": ("FROM pg_settings", "Table pg_settings is refused"),
    "settings by schema": ("FROM pg_catalog.pg_settings", "Table pg_catalog.pg_settings is refused"),
    "settings by catalog": ("FROM system.pg_catalog.pg_settings", "is refused"),
    "settings by show": ("SHOW memory_limit", "SHOW memory_limit is refused"),
    "settings by function": ("SELECT current_setting('allowed_paths')", "current_setting is refused"),
    "logs by view": ("FROM duckdb_logs", "Table duckdb_logs is refused"),
    "databases' files": ("FROM pragma_database_list", "Table pragma_database_list is refused"),
    "variables": ("FROM duckdb_variables()", "Table function duckdb_variables is refused"),
    "a variable": ("SELECT getvariable('x')", "Function getvariable is refused"),
    "other sql": ("SELECT json_serialize_sql('SELECT 1')", "Function json_serialize_sql is refused"),
    "extension function": ("FROM postgres_scan('host=localhost', 'a', 'b')", "postgres_scan is refused"),
    "extension load by name": ("FROM st_read('$SECRET')", "Table function st_read is refused"),
    "external resource": ("FROM create_external_resource('x')", "create_external_resource is refused"),
    "internal function": ("SELECT __internal_decompress_string(1)", "__internal_decompress_string is refused"),
    "aggregate state": ("SELECT finalize('x'::BLOB)", "Function finalize is refused"),
    "sleep": ("SELECT sleep_ms(100000)", "Function sleep_ms is refused"),
    "sleep like postgres": ("SELECT pg_sleep(100)", "Function pg_sleep is refused"),
    "parameter": ("SELECT $1", "PARAMETER inside a query is refused"),
    "python variable": ("FROM python_variable", "python_variable does not exist"),
    "pandas": ("FROM pandas_scan(1)", "Table function pandas_scan is refused"),
    "arrow": ("FROM arrow_scan(1, 2, 3)", "Table function arrow_scan is refused"),
    "arrow dumb": ("FROM arrow_scan_dumb(1, 2, 3)", "Table function arrow_scan_dumb is refused"),
    "python arrow": ("FROM python_arrow_scan(1)", "Table function python_arrow_scan is refused"),
    "python map": ("FROM python_map_function(1)", "Table function python_map_function is refused"),
    "raw vectors": ("FROM test_vector_types(1)", "Table function test_vector_types is refused"),
}

TRICKS: Statements = {
    "two statements": ("SELECT 1; SELECT 2", "Got 2 statements; a query is one SELECT"),
    "none": ("-- nothing", "Got 0 statements"),
    "empty": ("", "Got 0 statements"),
    "only semicolons": (";;;", "Got 0 statements|syntax error"),
    "second after a comment": ("SELECT 1 /* ; */; -- x\nCOPY publishers TO '$OUT'", "Got 2 statements"),
    "in a comment's end": ("/* SELECT 1 */ COPY publishers TO '$OUT'", "COPY is refused"),
    "nested comments": ("/* /* */ COPY publishers TO '$OUT' -- */", "Got 0 statements"),
    "zero byte": ("SELECT 1 \0; COPY publishers TO '$OUT'", "zero byte"),
    "zero byte in a name": ('FROM "publishers\0$SECRET"', "zero byte"),
    "wide spaces": ("COPY\u00a0publishers\u2003TO '$OUT'", "COPY is refused"),
    "wide letters": ("ＣＯＰＹ publishers TO '$OUT'", "syntax error"),
    "look-alike slash": ("FROM '\u2215etc\u2215passwd'", "is refused"),
    "turned text": ("FROM '\u202e$SECRET'", "is refused"),
    "dollar quotes": ("FROM read_text($$q$$$SECRET$$q$$)", "Table function read_text is refused"),
    "escape string": ("FROM read_text(E'\\x2fetc\\x2fpasswd')", "Table function read_text is refused"),
    "no such column": ("SELECT nmae FROM publishers", '(?s)"nmae" not found.*name'),
    "syntax": ("SELEC 1", "syntax error"),
    "lone surrogate": ("SELECT '\ud800'", "half a character"),
    "at run time": ("SELECT CAST(name AS INT) FROM publishers", "Could not convert"),
    "own error": ("SELECT error('boom') FROM range(100000)", "boom"),
}

REFUSED: Statements = WRITES | READS | OUTSIDE | TRICKS

TIME, MEMORY, SIZE = (
    "ran longer than 3 s and was stopped",
    "needed more than 0.5 GiB",
    "answer is larger than 0.5 GiB",
)
EXHAUSTING: Statements = {
    "uninterruptible": ("SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))", TIME),
    "many columns": ("SELECT " + ", ".join(f"{each} AS c{each}" for each in range(100_000)), f"{TIME}|{MEMORY}"),
    "big hash": ("SELECT sha256(repeat('a', 400000000)), md5(repeat('a', 400000000))", f"{TIME}|{MEMORY}"),
    "long answer": ("FROM range(1000000000000000)", f"{SIZE}|{TIME}"),
    "recursion that grows": (
        "WITH RECURSIVE t AS (SELECT 'x' a UNION ALL SELECT a || a FROM t) SELECT count(a) FROM t",
        f"{TIME}|{MEMORY}",
    ),
    "big text": ("SELECT length(repeat('x', 2000000000))", MEMORY),
    "list at once": ("SELECT range(10000000000)", "larger than 2.32 elements"),
    "format": ("SELECT format('{:1000000000}', 1)", f"{MEMORY}|{TIME}"),
    "long in": (f"SELECT 1 IN ({', '.join(map(str, range(300_000)))})", f"{MEMORY}|{TIME}"),
    "huge numbers": ("FROM range((170141183460469231731687303715884105727)::HUGEINT)", "range"),
    "parentheses": (f"SELECT {'(' * 100_000}1{')' * 100_000}", "expression depth"),
    "nested lists": (f"SELECT {'[' * 1000}{']' * 1000}", "recursion depth|expression depth"),
    "nested queries": (f"{'FROM (' * 5000}FROM publishers{')' * 5000}", "recursion depth|expression depth"),
    "nested json": ("SELECT json_structure(repeat('[', 1000000))", "Malformed JSON"),
    "long sql": (f"SELECT length('{'x' * 60_000_000}')", f"{TIME}|{MEMORY}"),
    "big sort": ("SELECT md5(range::VARCHAR) m FROM range(100000000) ORDER BY m", f"{TIME}|{MEMORY}"),
}

DECIDED_AGAINST = {
    "settings, session and stored statistics": r"current_(setting|query|query_id|connection_id|transaction_id"
    r"|catalog|role|schemas|user)|user|session_user|txid_current|getvariable|in_search_path|stats|get_block_size"
    r"|(pg_(?!typeof)|has_|inet_).*|.*_description|format_pg_type|format_type|map_to_pg_oid",
    "writes or waits": "nextval|currval|setval|setseed|write_log|sleep_ms",
    "parses or plans other SQL": "json_serialize_sql|json_deserialize_sql|json_serialize_plan",
    "DuckDB's own, on raw memory or types": r"__.*|combine|combine_aggr|finalize|to_aggregate_state"
    r"|create_sort_key|index_key|constant_or_null|remap_struct|cast_to_type|replace_type|get_type|make_type|can_cast_implicitly"
    r"|vector_type|vertex_extract|bitstring_byte_comparable|timetz_byte_comparable|normalized_interval|invoke"
    r"|variant_(bytes_to_variant|to_parquet_variant|normalize|comparator|group_.*)|decimal_(division|average)"
    r"|icu_.*|collate_.*|switch|hive_partition_component|is_histogram_other_bin|parse_duckdb_log_message|lttb"
    r"|array_to_string_comma_default|json_copy_.*|is (not )?distinct from|!__postfix",
    "geometry, which no table holds": "st_.*",
    "Python functions of our macros": "_files_of|_committed_ms",
}


@dataclass(frozen=True)
class Scene:
    """A folder with a lake and secrets, and what its files were."""

    folder: Path
    lake: Lake
    names: dict[str, str]

    def statement(self, text: str) -> str:
        """A statement with the scene's paths in it."""
        return Template(text).safe_substitute(self.names)

    def files(self) -> dict[str, str]:
        """Every file and link with the hash of its content."""
        paths = sorted(path for path in self.folder.rglob("*") if not path.is_dir())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def scene(folder: Path) -> Scene:
    """A lake with a committed and a staged file, next to a secret and a link to it."""
    lake = Lake(folder / "lake")
    lake.append("publishers", "r1", publisher_rows("r1", ["p2", "p1"]))
    staged = lake.stage("publishers", publisher_rows("r2", [SECRET]))
    secret, link = folder / "secret.csv", folder / "lake" / "publishers" / "link.csv"
    secret.write_text(f"a\n{SECRET}\n")
    os.symlink(secret, link)  # noqa: PTH211
    names = {"OUT": folder / "out", "SECRET": secret, "LINK": link, "FOLDER": folder}
    files = {"FILE": lake.files("publishers")[0], "STAGED": f"{lake.root}/{staged.path}"}
    return Scene(folder, lake, {name: str(path) for name, path in (names | files).items()})


def attempt(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple]:
    """What the sandbox's child does with a statement, in this process."""
    require_reading_only(connection, sql)
    return connection.sql(sql).fetchall()
