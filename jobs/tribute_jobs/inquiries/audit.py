"""`tribute verify --project`: whether a project still holds the runs, files and ledger that a bundle rests on."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import duckdb

from tribute.config import Project
from tribute.errors import LedgerError, ProofError
from tribute.royalty.document import Bundle, BundleFile, BundleInput
from tribute.royalty.proof import Problem, Verdict, verdict
from tribute_jobs.period.inputs import file_inputs, lake_inputs
from tribute_jobs.period.ledger import ledger_head
from tribute_storage import open_tables

Entry = TypeVar("Entry", BundleInput, BundleFile)


def verdict_with_project(file: Path, key: str | None, project: Project) -> Verdict:
    """Verify a bundle. If it holds by itself, hash everything that it rests on again, in the project.

    Args:
        key: the payer's public key, 64 hexadecimal digits. If given, it must have signed.

    Raises:
        ProofError: the file is not a bundle or cannot be read, the key is not a public key, or the bundle is of
            another project.
    """
    found = verdict(file, key)
    if found.kind != "bundle":
        raise ProofError(f"{file} is a statement. Give --project together with the bundle.json in its folder")
    if found.problems or not isinstance(found.document, Bundle):
        return found
    return replace(found, problems=recheck(project, found.document, found.sha256), compared=True)


def recheck(project: Project, bundle: Bundle, sha256: str) -> list[Problem]:
    """Every difference between a project and a bundle that holds by itself; empty: all is as it was signed.

    Compared: the bundle with the one that closing committed, all statements of the version, all inputs and files
    that they rest on, the copies of the files, and the ledger up to the end of the period.

    Args:
        sha256: hash of the bundle's file.

    Raises:
        ProofError: the bundle is of another project.
    """
    if bundle.model_id != project.name:
        raise ProofError(
            f"The bundle is of {bundle.model_id!r}, this project is {project.name!r}. Give the issuer's project"
        )
    with open_tables(project.lake_root) as connection:
        return [
            *_committed(connection, bundle, sha256),
            *_statements(connection, bundle),
            *_inputs(connection, project, bundle),
            *_copies(connection, project, bundle),
            *_ledger(project, bundle),
        ]


def _committed(connection: duckdb.DuckDBPyConnection, bundle: Bundle, sha256: str) -> Iterator[Problem]:
    known = connection.execute(
        "select artifact_sha256 from bundles where period = $1 and root = $2", [bundle.period, bundle.root]
    ).fetchall()
    if (sha256,) not in known:
        committed = ", ".join(each for (each,) in known) or "none"
        void = connection.execute(
            "select '. Of version ' || statement_version || ', run ' || reversed_run || ' was reversed: ' "
            "|| reason from reversals where period = $1 and list_contains($2, statement_version)",
            [bundle.period, [each.statement_version for each in bundle.statements]],
        ).fetchall()
        why = "".join(text for (text,) in void)
        yield Problem(
            "document", f"has the sha256 {sha256}, but the lake committed for these statements: {committed}{why}"
        )


def _statements(connection: duckdb.DuckDBPyConnection, bundle: Bundle) -> Iterator[Problem]:
    versions = sorted({statement.statement_version for statement in bundle.statements})
    rows = connection.execute(
        "select statement_id, sha256 from statements where period = $1 and list_contains($2, statement_version)",
        [bundle.period, versions],
    ).fetchall()
    known = dict(rows)
    for index, (statement, signed) in enumerate(zip(bundle.statements, bundle.statement_sha256, strict=True)):
        found = known.pop(statement.statement_id, None)
        if found != signed:
            text = f"has the sha256 {signed}, but the lake has {found or 'no such statement'}"
            yield Problem(f"statements[{index}]", text)
    for statement_id in sorted(known):
        yield Problem("statements", f"lack {statement_id}, which the lake has in this version")


def _inputs(connection: duckdb.DuckDBPyConnection, project: Project, bundle: Bundle) -> Iterator[Problem]:
    """The inputs and files that the statements rest on, found again, compared with the bundle's lists."""
    if not bundle.statements:
        yield Problem("statements", "are empty, so nothing says what the bundle rests on")
        return
    first = bundle.statements[0]
    for table, column, value in (
        ("valuations", "run_id", first.value_run),
        ("statements", "statement_id", first.statement_id),
    ):
        if not connection.execute(f"select 1 from {table} where {column} = $1 limit 1", [value]).fetchone():
            yield Problem("inputs", f"cannot be found again: the lake's table {table} has no {value}")
            return
    try:
        inputs = lake_inputs(project, first)
    except ProofError as error:
        yield Problem("inputs", f"cannot be found again: {error}")
        return
    files = file_inputs(project, first)
    yield from _listed("inputs", bundle.inputs, inputs, lambda each: each.table, _input)
    yield from _listed("files", bundle.files, files, lambda each: each.setting, _file)


def _listed(
    place: str,
    signed: Sequence[Entry],
    found: Sequence[Entry],
    key: Callable[[Entry], str],
    named: Callable[[Entry], str],
) -> Iterator[Problem]:
    """Signed entries that were not found as they are, then found entries that were not signed."""
    left = {key(each): each for each in found}
    for index, each in enumerate(signed):
        own = left.pop(key(each), None)
        if own != each:
            other = "nothing of that kind that the statements rest on" if own is None else named(own)
            yield Problem(f"{place}[{index}]", f"{named(each)} was signed, but the project has {other}")
    for each in left.values():
        yield Problem(place, f"lack {named(each)}, which the statements rest on")


def _copies(connection: duckdb.DuckDBPyConnection, project: Project, bundle: Bundle) -> Iterator[Problem]:
    for index, signed in enumerate(bundle.files):
        place, name = f"files[{index}]", f"{signed.name} ({signed.setting})"
        copy = connection.execute(
            "select artifact_uri from settled_files where setting = $1 and name = $2 and artifact_sha256 = $3",
            [signed.setting, signed.name, signed.sha256],
        ).fetchone()
        if copy is None:
            yield Problem(place, f"{name}: the lake lists no copy with the signed sha256 {signed.sha256}")
            continue
        path = project.workdir / copy[0]
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        if found != signed.sha256:
            state = f"has the sha256 {found}" if found else "is missing"
            yield Problem(place, f"{name}: its copy {path} {state}, but {signed.sha256} was signed")


def _ledger(project: Project, bundle: Bundle) -> Iterator[Problem]:
    signed, period = bundle.ledger, bundle.period
    try:
        found = ledger_head(project, period)
    except LedgerError as error:
        yield Problem("ledger", str(error))
        return
    if found != signed:
        text = (
            f"has {found.entries:,} entries up to {period}, the last with hash {found.sha256}, but "
            f"{signed.entries:,} entries, the last with hash {signed.sha256}, were signed: it was rewritten since"
        )
        yield Problem("ledger", text)


def _input(entry: BundleInput) -> str:
    runs = entry.run_ids[0] if len(entry.run_ids) == 1 else f"{len(entry.run_ids)} runs"
    return f"{entry.table} of {runs}, {entry.rows:,} rows with sha256 {entry.sha256}"


def _file(entry: BundleFile) -> str:
    return f"{entry.name} ({entry.setting}) with sha256 {entry.sha256}"
