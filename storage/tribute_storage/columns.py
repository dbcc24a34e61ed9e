"""The language of table schemas: columns with their meaning, row order, and the version that added a column.

A unit stands in a column's name (`_nats`, `_minor`, `_uri`) and in its text. Ids are free text and stay physical
columns; exact fractions and decimals are text, so that no reader turns them into floats.
"""

import json
from collections.abc import Mapping

import pyarrow as pa

TEXT = pa.string()
COUNT = pa.int64()
SMALL = pa.int32()
REAL = pa.float64()
MOMENT = pa.timestamp("us", tz="UTC")


def column(name: str, type_: pa.DataType, doc: str, bits: int | None = None) -> pa.Field:
    """A column that every row fills; `bits`: significant bits that are kept of a float32, rounded up."""
    kept = {"bits": str(bits)} if bits else {}
    return pa.field(name, type_, nullable=False, metadata={"doc": doc} | kept)


def optional(name: str, type_: pa.DataType, doc: str, since: int = 1) -> pa.Field:
    """A column that may be empty; `since`: the version of its table that brought it."""
    return pa.field(name, type_, nullable=True, metadata={"doc": doc, "since": str(since)})


def table(
    doc: str, *columns: pa.Field, sort_by: tuple[str, ...], tile: Mapping[str, int] | None = None
) -> pa.Schema:
    """A table's schema; its version is that of its newest column.

    Args:
        sort_by: the order of rows in a file, so that row groups are skipped by their smallest and largest value.
        tile: rows are cut into groups of at most this many distinct values of each of these columns, as long as
            such a group is worth a row group.
    """
    run_id = column("run_id", TEXT, "the run that committed this row")
    fields = [run_id, *columns]
    version = max(since_of(field) for field in fields)
    described = {"doc": doc, "version": str(version), "sort_by": json.dumps(sort_by)}
    return pa.schema(fields, metadata=described | {"tile": json.dumps(dict(tile or {}))})


def since_of(field: pa.Field) -> int:
    """The version of its table that brought a column."""
    return int((field.metadata or {}).get(b"since", b"1"))


def bits_of(field: pa.Field) -> int | None:
    """Significant bits that are kept of a column's floats; None: all."""
    kept = (field.metadata or {}).get(b"bits")
    return int(kept) if kept else None


SOURCE = column("source_id", TEXT, "the unit of the corpus that is weighted: a site, an imprint, a data set")
PUBLISHER = column("publisher_id", TEXT, "the payee")
REPLICATE = column("replicate", SMALL, "number of the training repetition, from 0")
PERIOD = column("period", TEXT, "the month that is valued, as YYYY-MM")
SIMULATE_RUN = column("simulate_run", TEXT, "run_id of the simulations that were read out")
QUERY = column("query_id", TEXT, "one use of the model")
SPLIT = column("split", TEXT, "the publisher's part of the source, an exact fraction such as 1/3")
VERSION = column("version", TEXT, "version of the source that was read")
LICENSE = column("license", TEXT, "SPDX licence expression; NOASSERTION where the source gives none")
ARTIFACT_URI = column("artifact_uri", TEXT, "where the safetensors file is, relative to the working folder")
ARTIFACT_SHA256 = column("artifact_sha256", TEXT, "SHA-256 of the safetensors file, hexadecimal")
STATEMENT = column("statement_id", TEXT, "a publisher's account for a period, whatever its version")
