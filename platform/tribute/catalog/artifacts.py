"""Every file of the working folder whose SHA-256 the lake records."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tribute.config import Project
from tribute_storage import SCHEMAS, open_tables

TABLES = tuple(table for table, schema in SCHEMAS.items() if "artifact_uri" in schema.names)
"""Tables that name artifacts."""


class RecordedArtifact(NamedTuple):
    """A file, as a run of a table recorded it. `uri`: its path as it stands in the table."""

    table: str
    run_id: str
    uri: str
    path: Path
    sha256: str


def recorded_artifacts(project: Project, *tables: str) -> Iterator[RecordedArtifact]:
    """All files that the lake names, of every run that was ever made, each once in a table and run.

    Args:
        tables: only these; none named: all of `TABLES`.
    """
    for table in tables or TABLES:
        with open_tables(project.lake_root, table) as connection:
            rows = connection.execute(
                f"select distinct run_id, artifact_uri, artifact_sha256 from {table} "
                "where artifact_uri is not null order by all"
            ).fetchall()
        for run_id, uri, sha256 in rows:
            yield RecordedArtifact(table, run_id, uri, project.workdir / uri, sha256)
