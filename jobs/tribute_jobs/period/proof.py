"""The proof of a final version: its signed bundle, and in each statement that it is part of it."""

import hashlib
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from tribute.config import Project
from tribute.errors import ProofError
from tribute.royalty import document
from tribute.royalty.document import Bundle, BundleFacts, BundleFile, BundleInput, LedgerHead
from tribute.royalty.proof import build_bundle, new_key, with_proofs
from tribute_jobs.context import Context
from tribute_jobs.period.files import write_files
from tribute_jobs.period.inputs import file_inputs, lake_inputs
from tribute_jobs.period.ledger import ledger_head
from tribute_jobs.period.statements import Statement, statement_folder
from tribute_storage import SCHEMAS, connect
from tribute_storage.atomic import write_atomically

BUNDLE = "bundle.json"


def prove(context: Context, statements: list[Statement]) -> list[Statement]:
    """Sign a final version: its bundle, and a proof in each statement; written to its folder and to `bundles`.

    Everything in a bundle comes from the lake and Ed25519 signs the same bytes alike, so that a bundle whose file
    was lost is written again as it was. Until a bundle is committed nothing in its folder is trusted: it is built,
    and if another lies there, all files of the folder are written anew.

    Raises:
        ProofError: the bundle is committed, and its file, or what would be written in its place, is another.
    """
    project, first = context.project, statements[0]
    path = statement_folder(project, first["period"], first["statement_version"]) / BUNDLE
    run_id = bundle_run(project, first["period"], first["statement_version"])
    committed = _committed(project, run_id)
    content = _content(project, statements, path, committed)
    if path.exists() and path.read_bytes() != content:
        shutil.rmtree(path.parent)
    if not path.exists():
        write_atomically(path, content)
    bundle = Bundle.model_validate_json(content)
    proven = [each.plain() for each in with_proofs(bundle, _typed(statements))]
    write_files(path.parent, proven)
    row = {name: getattr(bundle, name) for name in ("period", "root", "tree_size", "public_key", "signature")}
    row |= {"run_id": run_id, "statement_version": first["statement_version"]}
    row |= {"artifact_uri": context.uri(path), "artifact_sha256": _sha256(content)}
    context.lake.append("bundles", run_id, pa.Table.from_pylist([row], SCHEMAS["bundles"]))
    return proven


def bundle_bytes(project: Project, statements: list[Statement]) -> bytes:
    """The signed bundle of a final version, canonical JSON: the same bytes whenever it is built."""
    typed, first = _typed(statements), statements[0]
    facts = BundleFacts(
        model_id=project.name,
        period=first["period"],
        code_version=version("tribute"),
        policy=typed[0].policy,
        inputs=tuple(BundleInput.model_validate(each) for each in lake_inputs(project, first)),
        simulation={name: first[name] for name in ("simulate_run", "train_run", "value_run")},
        files=tuple(BundleFile.model_validate(each) for each in file_inputs(project, first)),
        ledger=LedgerHead.model_validate(ledger_head(project, first["period"])),
    )
    return build_bundle(facts, typed, signing_key(project)).canonical()


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


def _committed(project: Project, run_id: str) -> str | None:
    """The SHA-256 of a version's bundle, if it is committed."""
    with connect(project.lake_root) as connection:
        found = connection.execute("select artifact_sha256 from bundles where run_id = $1", [run_id]).fetchone()
    return None if found is None else str(found[0])


def _content(project: Project, statements: list[Statement], path: Path, committed: str | None) -> bytes:
    """The bundle: the file that is committed, or else what is built."""
    there = committed is not None and path.exists()
    content = path.read_bytes() if there else bundle_bytes(project, statements)
    if committed in (None, _sha256(content)):
        return content
    what = (
        "was changed after it was signed"
        if there
        else "is gone, and signing anew would give another one: key, version of tribute or lake have changed"
    )
    raise ProofError(
        f"{path} {what} (sha256 {_sha256(content)}; signed and committed: {committed}). Put the signed file back "
        "from a copy: publishers and auditors have it"
    )


def _typed(statements: list[Statement]) -> list[document.Statement]:
    return [document.Statement.model_validate(statement) for statement in statements]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
