"""Decides whether a statement only reads, by lists of what DuckDB's parse tree may contain.

DuckDB types `WITH x AS (COPY ...) SELECT ...` as a SELECT, and a path that may be read may also be written:
with `use_tmp_file false` such a statement overwrites a committed file, even with external access off. So every
node, relation, expression and function of the tree must be on a list here; what a newer DuckDB adds is refused
until somebody has looked at it. The lists hold nothing that reads files, settings, variables or raw memory, runs
or plans other SQL, writes, or waits. Names of tables, columns and committed files are no secret: `duckdb_views`
shows them.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from tribute_storage.errors import LakeError

ALLOWED = "one SELECT, WITH ... SELECT, FROM, VALUES, DESCRIBE, SUMMARIZE or SHOW TABLES"
READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
RELATIONS = {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF"}
MODIFIERS = {
    *("ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"),
    *("ORDER_DEFAULT", "ASCENDING", "DESCENDING"),
}
EXPRESSIONS = {
    *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "DEFAULT"),
    *("FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE"),
    "WINDOW",
}
OUR_TABLE_MACROS = {"as_of", "publisher_value", "statement_lines", "top_sources"}
READING_FUNCTIONS = OUR_TABLE_MACROS | {
    *("duckdb_columns", "duckdb_functions", "duckdb_tables", "duckdb_views", "pragma_version"),
    *("generate_series", "json_each", "json_tree", "range", "repeat", "unnest"),
}
SYSTEM_VIEWS = {
    *("duckdb_columns", "duckdb_tables", "duckdb_views", "sqlite_master", "sqlite_schema"),
    *("information_schema.columns", "information_schema.schemata", "information_schema.tables"),
}
SHOWN = {"", '"tables"', "__show_tables_expanded"}
SCHEMAS_READ = {"", "main", "history", "information_schema"}
OPERATORS = "!= !~~ !~~* % & && * ** + - ->> / // < <-> << <= <=> <@ = > >= >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~"
COMPUTING = """
abs acos acosh add age aggregate ago alias any_value apply approx_count_distinct approx_quantile approx_top_k
arbitrary arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin
array_agg array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct
array_dot_product array_extract array_filter array_grade_up array_has array_has_all array_has_any
array_indexof array_inner_product array_intersect array_length array_negative_dot_product
array_negative_inner_product array_pop_back array_pop_front array_position array_prepend array_push_back
array_push_front array_reduce array_resize array_reverse array_reverse_sort array_select array_slice
array_sort array_to_json array_to_string array_transform array_unique array_value array_where array_zip ascii
asin asinh assert_true atan atan2 atanh avg bar base64 bin binom bit_and bit_count bit_length bit_or
bit_position bit_xor bitstring bitstring_agg bool_and bool_or cardinality cbrt ceil ceiling century
char_length character_length chr concat concat_ws contains corr cos cosh cot count count_if count_star countif
covar_pop covar_samp cume_dist current_database current_date current_localtime current_localtimestamp
current_schema damerau_levenshtein date_add date_diff date_part date_sub date_trunc datediff datepart datesub
datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month decade decode degrees dense_rank divide
editdist3 element_at encode ends_with entropy enum_code enum_first enum_last enum_range enum_range_boundary
epoch epoch_ms epoch_ns epoch_us equi_width_bins era error even exp factorial favg fdiv fill filter first
first_value flatten floor fmod format format_bytes formatreadabledecimalsize formatreadablesize from_base64
from_binary from_hex from_json from_json_strict fsum gamma gcd gen_random_uuid generate_series
generate_subscripts geomean geometric_mean get_bit get_current_time get_current_timestamp grade_up greatest
greatest_common_divisor group_concat hamming hash hex histogram histogram_exact hour if ilike_escape instr
isfinite isinf isnan isodow isoyear jaccard jaro_similarity jaro_winkler_similarity json json_array
json_array_length json_contains json_deep_merge json_exists json_extract json_extract_path
json_extract_path_text json_extract_string json_group_array json_group_object json_group_structure json_insert
json_keys json_merge_patch json_merge_patch_diff json_normalize json_object json_pretty json_quote json_remove
json_replace json_set json_strip_nulls json_structure json_transform json_transform_strict json_type
json_valid json_value julian kahan_sum kurtosis kurtosis_pop lag last last_day last_value lcase lcm lead least
least_common_multiple left left_grapheme len length length_grapheme levenshtein lgamma like_escape list
list_aggr list_aggregate list_any_value list_append list_apply list_approx_count_distinct list_avg
list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains
list_cosine_distance list_cosine_similarity list_count list_distance list_distinct list_dot_product
list_element list_entropy list_extract list_filter list_first list_grade_up list_has list_has_all list_has_any
list_histogram list_indexof list_inner_product list_intersect list_kurtosis list_kurtosis_pop list_last
list_mad list_max list_median list_min list_mode list_negative_dot_product list_negative_inner_product
list_pack list_position list_prepend list_product list_reduce list_resize list_reverse list_reverse_sort
list_select list_sem list_skewness list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg
list_sum list_transform list_unique list_value list_var_pop list_var_samp list_where list_zip listagg ln log
log10 log2 lower lpad ltrim mad make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns
make_timestamptz map map_concat map_contains map_contains_entry map_contains_value map_entries map_extract
map_extract_value map_from_entries map_keys map_values max max_by md5 md5_number md5_number_lower
md5_number_upper mean median microsecond millennium millisecond min min_by minute mismatches mod mode month
monthname multiply nanosecond nextafter nfc_normalize not_ilike_escape not_like_escape now nth_value ntile
nullif octet_length ord overlay parse_dirname parse_dirpath parse_filename parse_formatted_bytes parse_path
path_join percent_rank pg_typeof pi position pow power prefix printf product quantile quantile_cont
quantile_disc quarter radians random range rank rank_dense reduce regexp_escape regexp_extract
regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace
reservoir_quantile reverse right right_grapheme round round_even roundbankers row row_number row_to_json rpad
rtrim second sem set_bit sha1 sha256 sign signbit sin sinh skewness split split_part sqrt starts_with stddev
stddev_pop stddev_samp str_split str_split_regex strftime string_agg string_split string_split_regex
string_to_array strip_accents strlen strpos strptime struct_concat struct_contains struct_extract
struct_extract_at struct_has struct_indexof struct_insert struct_keys struct_pack struct_position
struct_update struct_values substr substring substring_grapheme subtract suffix sum sum_no_overflow sumkahan
tan tanh time_bucket timezone timezone_hour timezone_minute to_base to_base64 to_binary to_centuries to_days
to_decades to_hex to_hours to_json to_microseconds to_millennia to_milliseconds to_minutes to_months
to_quarters to_seconds to_timestamp to_weeks to_years today transaction_timestamp translate trim trunc
try_strptime typeof ucase unbin unhex unicode union_extract union_tag union_value unnest unpivot_list upper
url_decode url_encode uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 var_pop var_samp variance
variant_array_length variant_contains variant_exists variant_extract variant_extract_string variant_keys
variant_type variant_typeof version wavg week weekday weekofyear weighted_avg xor year yearweek
"""
FUNCTIONS = set(f"{OPERATORS} {COMPUTING}".split())


def require_reading_only(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse `sql` unless it is one statement that reads the relations of `connection`.

    Raises:
        LakeError: the text does not parse, holds no or several statements, or holds at any depth something that
            is not on this module's lists; says what is allowed.
        duckdb.Error: the parser itself ran out of memory.
    """
    if "\0" in sql or re.search("[\ud800-\udfff]", sql):
        raise LakeError(f"The query holds a zero byte or half a character; a query is {ALLOWED}.")
    try:
        kinds = [statement.type.name for statement in connection.extract_statements(sql)]
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise LakeError(str(error)) from error
    if len(kinds) != 1:
        raise LakeError(f"Got {len(kinds)} statements; a query is {ALLOWED}.")
    if kinds[0] != "SELECT":
        raise LakeError(f"{kinds[0]} is refused; a query is {ALLOWED}.")
    hidden = _hidden_views(connection)
    for part in _parts(_syntax(connection, sql)):
        _require_known(part)
        if part.get("type") == "BASE_TABLE":
            _require_relation(part, hidden)


def _syntax(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    try:
        rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
        tree = json.loads(rows[0][0], object_pairs_hook=_without_doubles)
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, RecursionError, UnicodeError, ValueError) as error:
        raise LakeError(f"The query cannot be checked: {error}. A query is {ALLOWED}.") from error
    if not isinstance(tree, dict) or tree.get("error", True):
        raise LakeError(f"The query cannot be checked to only read; a query is {ALLOWED}.")
    return tree


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse two equal keys: the later one would hide the earlier one from the check."""
    part = dict(pairs)
    if len(part) < len(pairs):
        raise ValueError("its syntax tree is ambiguous")
    return part


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, dict):
            yield part
            call = part.get("function") if part.get("type") == "TABLE_FUNCTION" else None
            if isinstance(call, dict):  # a table function: its name is checked with `part`
                part = part | {"function": [value for key, value in call.items() if key != "class"]}
            waiting.extend(part.values())


def _require_known(part: dict[str, Any]) -> None:
    kind, expression = part.get("type"), part.get("class")
    if expression is not None:
        _require_expression(str(expression), part)
    elif "cte_map" in part or str(kind).endswith("_NODE"):
        if kind not in READING_NODES:
            raise LakeError(f"{str(kind).split('_')[0]} inside a query is refused; a query is {ALLOWED}.")
    elif kind == "TABLE_FUNCTION":
        _require_name(part.get("function", {}).get("function_name"), READING_FUNCTIONS, "Table function")
    elif kind == "SHOW_REF" and part.get("table_name") not in SHOWN:
        raise LakeError(f"SHOW {part.get('table_name')} is refused; use SHOW TABLES or DESCRIBE a table.")
    elif isinstance(kind, str) and kind not in RELATIONS | MODIFIERS and not kind.endswith("_TYPE_INFO"):
        raise LakeError(f"{kind} inside a query is refused; a query is {ALLOWED}.")


def _require_expression(expression: str, part: dict[str, Any]) -> None:
    if expression not in EXPRESSIONS:
        raise LakeError(f"{expression} inside a query is refused; a query is {ALLOWED}.")
    if "function_name" in part:
        _require_name(part["function_name"], FUNCTIONS, "Function")


def _require_name(name: Any, known: set[str], kind: str) -> None:
    if str(name).lower() in known:
        return
    remedy = f"read tables by name or use one of: {', '.join(sorted(known))}" if kind == "Table function" else ""
    raise LakeError(f"{kind} {name} is refused; {remedy or 'a query calls only functions that compute'}.")


def _require_relation(part: dict[str, Any], hidden: set[str]) -> None:
    """Refuse names that DuckDB would open as a file, and its own views, which may show settings."""
    catalog, schema, name = (str(part.get(f"{key}_name", "")).lower() for key in ("catalog", "schema", "table"))
    full = f"{schema}.{name}" if schema == "information_schema" else name
    plain = re.fullmatch(r"[\w $-]*", catalog) and re.fullmatch(r"[\w $-]+", name)
    if not plain or schema not in SCHEMAS_READ or full in hidden:
        shown = ".".join(each for each in (catalog, schema, name) if each)
        raise LakeError(f"Table {shown} is refused; read the lake's tables by name, SHOW TABLES lists them.")


def _hidden_views(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT schema_name, view_name FROM duckdb_views() WHERE internal").fetchall()
    found = {f"{schema}.{name}" if schema == "information_schema" else name for schema, name in rows}
    return found - SYSTEM_VIEWS
