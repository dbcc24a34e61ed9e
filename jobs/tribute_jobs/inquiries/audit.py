"""Whether a project holds what a bundle rests on: found again from its statements, every hash taken again."""

import hashlib
from collections.abc import Iterator
from typing import Any

import duckdb

from tribute.config import Project
from tribute.errors import LedgerError, ProofError
from tribute.royalty.proof import Problem
from tribute_jobs.period.inputs import file_inputs, lake_inputs
from tribute_jobs.period.ledger import ledger_head
from tribute_storage import connect

Bundle = dict[str, Any]


def recheck(project: Project, bundle: Bundle, sha256: str) -> list[Problem]:
    """Where the project differs from what a bundle says that holds by itself; none: all is as it was signed.

    Compared are the bundle with the one that closing committed, all statements of the version, all inputs and
    files that they rest on, copies of the files, and the ledger up to the end of the period.

    Args:
        sha256: of the bundle's file.

    Raises:
        ProofError: the bundle is another project's.
    """
    if bundle["model_id"] != project.name:
        raise ProofError(
            f"The bundle is of {bundle['model_id']!r}, this project is {project.name!r}. Give the issuer's"
        )
    with connect(project.lake_root) as connection:
        return [
            *_committed(connection, bundle, sha256),
            *_statements(connection, bundle),
            *_rests(connection, project, bundle),
            *_copies(connection, project, bundle),
            *_ledger(project, bundle),
        ]


def _committed(connection: duckdb.DuckDBPyConnection, bundle: Bundle, sha256: str) -> Iterator[Problem]:
    known = connection.execute(
        "select artifact_sha256 from bundles where period = $1 and root = $2", [bundle["period"], bundle["root"]]
    ).fetchall()
    if (sha256,) not in known:
        said = ", ".join(each for (each,) in known) or "none"
        yield Problem("document", f"has the sha256 {sha256}, the lake knows of these statements: {said}")


def _statements(connection: duckdb.DuckDBPyConnection, bundle: Bundle) -> Iterator[Problem]:
    versions = sorted({statement["statement_version"] for statement in bundle["statements"]})
    rows = connection.execute(
        "select statement_id, sha256 from statements where period = $1 and list_contains($2, statement_version)",
        [bundle["period"], versions],
    ).fetchall()
    known = dict(rows)
    for index, (statement, said) in enumerate(zip(bundle["statements"], bundle["statement_sha256"], strict=True)):
        found = known.pop(statement["statement_id"], None)
        if found != said:
            yield Problem(f"statements[{index}]", f"has the sha256 {said}, in the lake it has {found or 'no row'}")
    for statement_id in sorted(known):
        yield Problem("statements", f"lack {statement_id}, which the lake has of this version")


def _rests(connection: duckdb.DuckDBPyConnection, project: Project, bundle: Bundle) -> Iterator[Problem]:
    """The inputs and files that the statements rest on, found again, against those that are listed."""
    if not bundle["statements"]:
        yield Problem("statements", "are none, so that nothing says what the bundle rests on")
        return
    first = bundle["statements"][0]
    for table, column, value in (
        ("valuations", "run_id", first["value_run"]),
        ("statements", "statement_id", first["statement_id"]),
    ):
        if not connection.execute(f"select 1 from {table} where {column} = $1 limit 1", [value]).fetchone():
            yield Problem("inputs", f"cannot be found again: {table} of the lake has no {value}")
            return
    try:
        inputs = lake_inputs(project, first)
    except ProofError as error:
        yield Problem("inputs", f"cannot be found again: {error}")
        return
    yield from _listed("inputs", bundle["inputs"], inputs, "table")
    yield from _listed("files", bundle["files"], file_inputs(project, first), "setting")


def _listed(place: str, said: list[Bundle], found: list[Bundle], key: str) -> Iterator[Problem]:
    """Entries that differ from what was found, or are not among it, then those that are missing."""
    left = {each[key]: each for each in found}
    for index, each in enumerate(said):
        own = left.pop(each[key], None)
        if own != each:
            at = f"{place}[{index}]"
            yield Problem(at, f"{_named(each, key)} was signed, the project has {_named(own, key)}")
    for each in left.values():
        yield Problem(place, f"lack {_named(each, key)}, which the statements rest on")


def _copies(connection: duckdb.DuckDBPyConnection, project: Project, bundle: Bundle) -> Iterator[Problem]:
    for index, said in enumerate(bundle["files"]):
        place, name = f"files[{index}]", f"{said['name']} ({said['setting']})"
        copy = connection.execute(
            "select artifact_uri from settled_files where setting = $1 and name = $2 and artifact_sha256 = $3",
            [said["setting"], said["name"], said["sha256"]],
        ).fetchone()
        if copy is None:
            yield Problem(place, f"{name}: the lake names no copy with the signed sha256 {said['sha256']}")
            continue
        path = project.workdir / copy[0]
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        if found != said["sha256"]:
            what = f"has the sha256 {found}" if found else "is gone"
            yield Problem(place, f"{name}: its copy {path} {what}, {said['sha256']} was signed")


def _ledger(project: Project, bundle: Bundle) -> Iterator[Problem]:
    said, period = bundle["ledger"], bundle["period"]
    try:
        found = ledger_head(project, period)
    except LedgerError as error:
        yield Problem("ledger", str(error))
        return
    if found != {name: said[name] for name in ("entries", "sha256")}:
        yield Problem(
            "ledger",
            f"has {found['entries']:,} entries up to {period} and ends with {found['sha256']}, "
            f"{said['entries']:,} that end with {said['sha256']} were signed: it was rewritten since",
        )


def _named(entry: Bundle | None, key: str) -> str:
    if entry is None:
        return "nothing of that kind that the statements rest on"
    if key == "setting":
        return f"{entry['name']} ({entry['setting']}) with sha256 {entry['sha256']}"
    runs = entry["run_ids"]
    named = runs[0] if len(runs) == 1 else f"{len(runs)} runs"
    return f"{entry['table']} of {named}, {entry['rows']:,} rows with sha256 {entry['sha256']}"
