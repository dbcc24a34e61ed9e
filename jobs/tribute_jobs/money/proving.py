"""The proof of a final version: its signed bundle, and in each statement that it is part of it."""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from tribute.config import Project
from tribute.royalty import BundleFacts, build_bundle, canonical_json, new_key, with_proofs
from tribute_jobs.context import Context
from tribute_jobs.money.files import write_files
from tribute_jobs.money.issued import Statement, statement_folder
from tribute_storage import SCHEMAS, connect
from tribute_storage.atomic import write_atomically

BUNDLE = "bundle.json"
INPUTS = {
    "corpus_sources": "run_id in (select corpus_run from trajectories where run_id = $train)",
    "trajectories": "run_id = $train",
    "simulations": "run_id = $simulate",
    "queries": "simulate_run = $simulate and period = $period",
    "valuations": "run_id = $value",
    "rights": "run_id in (select run_id from rights)",
}


def prove(context: Context, statements: list[Statement]) -> list[Statement]:
    """Sign a final version: its bundle, and a proof in each statement; written to its folder and to `bundles`."""
    project, first = context.project, statements[0]
    folder = statement_folder(project, first["period"], first["statement_version"])
    if not (folder / BUNDLE).exists():
        write_atomically(folder / BUNDLE, canonical_json(_bundle(project, statements)))
    content = (folder / BUNDLE).read_bytes()
    bundle = json.loads(content)
    proven = with_proofs(bundle, statements)
    write_files(folder, proven)
    row = {name: bundle[name] for name in ("period", "root", "tree_size", "public_key", "signature")}
    run_id = bundle_run(project, first["period"], first["statement_version"])
    row |= {"run_id": run_id, "statement_version": first["statement_version"]}
    row |= {"artifact_uri": context.uri(folder / BUNDLE), "artifact_sha256": hashlib.sha256(content).hexdigest()}
    context.lake.append("bundles", run_id, pa.Table.from_pylist([row], SCHEMAS["bundles"]))
    return proven


def bundle_run(project: Project, period: str, statement_version: int) -> str:
    """The run that commits a version's row of `bundles`, when all its files are written."""
    return f"bundle-{project.name}-{period}-v{statement_version}"


def signing_key(project: Project) -> str:
    """The project's Ed25519 key, PEM; made at the first closing, readable by its owner alone."""
    path: Path = project.money.signing_key or project.workdir / "signing-key.pem"
    if not path.exists():
        pem, public = new_key()
        before = os.umask(0o077)
        try:
            write_atomically(path, pem.encode())
        finally:
            os.umask(before)
        write_atomically(path.with_suffix(".pub"), f"{public}\n".encode())
    return path.read_text()


def _bundle(project: Project, statements: list[Statement]) -> dict[str, Any]:
    first = statements[0]
    facts = BundleFacts(
        model_id=project.name,
        period=first["period"],
        code_version=version("tribute"),
        policy=first["policy"],
        inputs=_inputs(project, first),
        simulation={name: first[name] for name in ("simulate_run", "train_run", "value_run")},
    )
    return build_bundle(facts, statements, signing_key(project))


def _inputs(project: Project, statement: Statement) -> list[dict[str, Any]]:
    """Rows and hash of everything in the lake that the statements rest on, whatever the order of rows."""
    named = {
        "train": statement["train_run"],
        "simulate": statement["simulate_run"],
        "value": statement["value_run"],
        "period": statement["period"],
    }
    found = []
    with connect(project.lake_root) as connection:
        for table, condition in INPUTS.items():
            columns = ", ".join(f'"{name}"' for name in SCHEMAS[table].names)
            used = {name: value for name, value in named.items() if f"${name}" in condition}
            rows, digest = connection.execute(
                f"select count(*), sha256(coalesce(string_agg(digest, '' order by digest), '')) from "
                f"(select sha256(row({columns})::varchar) as digest from {table} where {condition})",
                used,
            ).fetchall()[0]
            found.append({"table": table, "run_id": None, "rows": rows, "sha256": digest})
    return found
