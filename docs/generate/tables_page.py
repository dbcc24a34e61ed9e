"""Reference page of the lake's tables, made from their schemas."""

from tribute_storage.schemas import SCHEMAS, doc_of, version_of

INTRODUCTION = """# Tables of the lake

Each table is a folder of Parquet files with a Delta log. `tribute sql PROJECT.yaml --schema` prints this list from
the software that you run. A column's name contains its unit (`_nats`, `_minor`). Shares, splits and decimals are
text, so that no reader turns an exact number into a float; amounts of money are integers of minor units.

"""


def tables_page() -> str:
    """Every table with its columns, their types, whether they may be empty, and their meaning."""
    parts = [INTRODUCTION]
    for name, schema in SCHEMAS.items():
        rows = [
            f"| `{field.name}` | {_type(str(field.type))} | {'yes' if field.nullable else ''} | {doc_of(field)} |"
            for field in schema
        ]
        parts.append(f"## {name}\n\n{doc_of(schema)} Version {version_of(name)}.\n")
        parts.append("| column | type | may be empty | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _type(arrow: str) -> str:
    return "timestamp, UTC" if arrow.startswith("timestamp") else arrow
