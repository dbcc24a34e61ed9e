"""What the benchmark of settling reads: a month of 10 million attributed queries, drawn with fixed seeds.

Too many to read out all: a sample is read out exactly, as `readout.precision` has it, and the rest is predicted.
So the month has a row of `queries` for each query, of which 5,000 have influences of 1,000 sources in 2
replicates, 10 million rows of `influence`, and 256,000 rows of `predicted`. Every tenth source is held by two of
1,000 publishers.
"""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import yaml

from tests.projects import settings
from tribute.catalog import lineage
from tribute.config import Project, load_project
from tribute.readout import influence_rows
from tribute_storage import SCHEMAS, Lake, StagedFile

QUERIES, SAMPLED, SOURCES, REPLICATES, BUCKETS = 10_000_000, 5_000, 1_000, 2, 128
PERIOD, RUN = "2026-10", "attribute-benchmark"
SOURCE_IDS = [f"imprint-{index:05}" for index in range(SOURCES)]
PER_FILE, JOB = 1_000_000, 100

_USES = """
select '{run}' as run_id, '{simulate}' as simulate_run, '{period}' as period, md5(i::varchar) as query_id,
    'batch' as origin, timestamptz '2026-10-01' + interval (i % 2678400) second as time,
    'customer-' || (hash(i) % 10000) as customer_id, 1 + (hash(i, 1) % 1000) / 500.0 as weight,
    1.0 as inclusion_probability, {readout} as readout_probability, 0.5 as similarity, false as unlike_corpus,
    -3.5 as measurement_nats, md5((i % 1000)::varchar) || md5('') as content_sha256
from range({first}, {last}) t(i)
"""


def project(folder: Path) -> Project:
    """Settings whose runs the lake is filled for: two pools in one currency, and the rights."""
    pools = [{"id": name, "amount": "1234567.89", "currency": "EUR"} for name in ("answers", "licences")]
    written = settings(pools=pools, rights={"sources": "sources.csv"}, valuation={"resamples": 1000})
    del written["pool"]
    written["queries"] = {"kind": "usage", "path": "usage.jsonl"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "project.yaml").write_text(yaml.safe_dump(written))
    rows = ["source_id,publisher_id,split"]
    for index, source in enumerate(SOURCE_IDS):
        parts = [(index, "1")] if index % 10 else [(index, "1/3"), ((index + 1) % SOURCES, "2/3")]
        rows += [f"{source},publisher-{payee:04},{split}" for payee, split in parts]
    (folder / "sources.csv").write_text("\n".join(rows) + "\n")
    return load_project(folder / "project.yaml")


def fill(told: Project) -> dict[str, int]:
    """Stage and commit the month; the number of rows of each table."""
    lake, runs = Lake(told.lake_root), lineage(told)
    lake.append("corpus_sources", runs.corpus_run, _corpus(runs.corpus_run))
    found = {}
    for table, files in {
        "queries": _queries(lake, runs.simulate_run),
        "influence": _influence(lake),
        "predicted": [lake.stage("predicted", _predicted())],
    }.items():
        lake.commit(table, RUN, files)
        found[table] = sum(file.rows for file in files)
    return found


def _shaped(table: str, rows: pa.Table) -> pa.Table:
    """Rows in the table's own columns and types; columns that are not given are empty."""
    schema = SCHEMAS[table]
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _corpus(run_id: str) -> pa.Table:
    tokens = np.random.default_rng(0).integers(1_000, 1_000_000, SOURCES)
    rows = [
        {
            "run_id": run_id, "source_id": source, "title": source, "publisher": source, "version": "1",
            "license": "CC-BY-4.0", "documents": 10, "held_out_documents": 1, "bytes": int(count) * 4,
            "tokens": int(count), "examples": 10, "held_out_examples": 1, "sha256": 32 * "ab",
        }
        for source, count in zip(SOURCE_IDS, tokens, strict=True)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, SCHEMAS["corpus_sources"])


def _queries(lake: Lake, simulate_run: str) -> list[StagedFile]:
    files = []
    with duckdb.connect() as connection:
        for first in range(0, QUERIES, PER_FILE):
            sql = _USES.format(
                run=RUN, simulate=simulate_run, period=PERIOD, readout=SAMPLED / QUERIES, first=first,
                last=min(first + PER_FILE, QUERIES),
            )  # fmt: skip
            files.append(lake.stage("queries", _shaped("queries", connection.sql(sql).to_arrow_table())))
    return files


def _influence(lake: Lake) -> list[StagedFile]:
    with duckdb.connect() as connection:
        step = QUERIES // SAMPLED
        ids = connection.sql(f"select md5((i * {step})::varchar) from range({SAMPLED}) t(i)").fetchall()
    files, query_ids = [], [query_id for (query_id,) in ids]
    for first in range(0, SOURCES, JOB):
        rng = np.random.default_rng((1, first))
        shape = REPLICATES, SAMPLED, JOB
        influence_RQS = np.multiply(rng.standard_t(3, shape) + 0.1, 1e-3).astype(np.float32)
        error_RQS = rng.gamma(2, 1e-4, shape).astype(np.float32)
        rows = influence_rows(RUN, SOURCE_IDS[first : first + JOB], query_ids, influence_RQS, error_RQS)
        files.append(lake.stage("influence", rows))
    return files


def _predicted() -> pa.Table:
    rng, count = np.random.default_rng(2), SOURCES * REPLICATES * BUCKETS
    place = np.unravel_index(np.arange(count), (SOURCES, REPLICATES, BUCKETS))
    columns = {
        "run_id": pa.array([RUN] * count),
        "source_id": pa.array(SOURCE_IDS).take(pa.array(place[0])),
        "replicate": pa.array(place[1]),
        "bucket": pa.array(place[2]),
        "predicted_nats": pa.array(rng.normal(20, 5, count)),
        "expanded_nats": pa.array(rng.normal(20, 6, count)),
    }
    return _shaped("predicted", pa.table(columns))
