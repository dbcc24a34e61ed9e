"""The proof of a final version: its signed bundle, and each statement's proof that it is part of it."""

import hashlib
import importlib.metadata
import os
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tribute.config import Project
from tribute.errors import DamagedFile, ProofError
from tribute.royalty.document import BUNDLE_SCHEMA, Bundle, BundleFacts
from tribute.royalty.proof import build_bundle, merkle_root, new_key, public_key, with_proofs
from tribute_jobs.context import Context
from tribute_jobs.period.files import write_files
from tribute_jobs.period.inputs import file_inputs, lake_inputs
from tribute_jobs.period.ledger import ledger_head
from tribute_jobs.period.statements import Version, statement_folder
from tribute_storage import SCHEMAS, open_tables
from tribute_storage.atomic import write_atomically

BUNDLE = "bundle.json"


def prove(context: Context, version: Version) -> None:
    """Sign a final version: write its bundle, and its statements with their proofs; commit the bundle.

    A version that another folder on this lake has signed, with a key of its own, is left as it is.

    Everything in a bundle comes from the lake, and Ed25519 signs the same bytes alike. So a bundle whose file was
    lost is written again as it was. Until a bundle is committed, nothing in its folder is trusted: the bundle is
    built, and if the folder holds another one, all files of the folder are written again.

    Raises:
        DamagedFile: the bundle is committed, and its file, or what would be written in its place, differs.
    """
    project = context.project
    path = statement_folder(project, version.month, version.number) / BUNDLE
    run_id = bundle_run(project, version)
    committed = _committed(project, run_id)
    _set_reversed_aside(project, version, path)
    if committed is not None and _signed_elsewhere(project, path, committed):
        if path.parent.exists():
            shutil.rmtree(path.parent)
        return
    try:
        content = _content(project, version, path, committed and committed.sha256)
    except ProofError:
        if committed is not None or _committed(project, run_id) is None:
            raise
        prove(context, version)  # another folder, whose key this one lacks, signed the version meanwhile
        return
    if path.exists() and path.read_bytes() != content:
        shutil.rmtree(path.parent)
    if not path.exists():
        write_atomically(path, content)
    bundle = _read(path, content)
    write_files(path.parent, with_proofs(bundle, version.statements), context.reporter)
    row = {name: getattr(bundle, name) for name in ("period", "root", "tree_size", "public_key", "signature")}
    row |= {"run_id": run_id, "statement_version": version.number}
    row |= {"artifact_uri": context.uri(path), "artifact_sha256": _sha256(content)}
    new = context.lake.append("bundles", run_id, pa.Table.from_pylist([row], SCHEMAS["bundles"]))
    if not new and committed is None:  # another folder was faster: its bundle is the one that counts
        shutil.rmtree(path.parent)
        prove(context, version)


def unsigned_versions(project: Project) -> list[tuple[str, int]]:
    """Final versions whose bundle is not committed, by month: closing them was begun and not completed."""
    with open_tables(project.lake_root, "statements", "bundles") as connection:
        return connection.execute(
            "select distinct s.period, s.statement_version from statements s "
            "anti join bundles b using (period, statement_version) where s.status = 'final' order by all"
        ).fetchall()


def bundle_bytes(project: Project, version: Version) -> bytes:
    """The signed bundle of a final version, canonical JSON: the same bytes whenever it is built."""
    first = version.statements[0]
    facts = BundleFacts(
        model_id=project.name,
        period=version.month,
        code_version=importlib.metadata.version("tribute"),
        policy=first.policy,
        inputs=tuple(lake_inputs(project, first)),
        simulation={
            "simulate_run": first.simulate_run,
            "train_run": first.train_run,
            "value_run": first.value_run,
        },
        files=tuple(file_inputs(project, first)),
        ledger=ledger_head(project, version.month),
    )
    return build_bundle(facts, version.statements, signing_key(project)).canonical()


def bundle_run(project: Project, version: Version) -> str:
    """The run that commits a version's row of `bundles`, when all its files are written.

    It is another one where the bundle that was committed is of a run that was reversed since.
    """
    run_id = f"bundle-{project.name}-{version.month}-v{version.number}"
    with open_tables(project.lake_root, "reversals") as connection:
        void = connection.execute("select 1 from reversals where reversed_bundle = $1", [run_id]).fetchone()
    return run_id if void is None else f"{run_id}-{version.run_id}"


def signing_key(project: Project) -> str:
    """The project's Ed25519 key, PEM; made at the first closing, readable by its owner alone.

    Raises:
        ProofError: the key is not there, and has signed before; or it is none.
    """
    path = key_file(project)
    if missing := not path.exists():
        require_no_other_key(project)
        pem, _ = new_key()
        before = os.umask(0o077)
        try:
            write_atomically(path, pem.encode())
        finally:
            os.umask(before)
    pem, public_file = read_key(path), path.with_suffix(".pub")
    public = f"{public_key(pem)}\n".encode()
    known = public_file.is_file() and public_file.read_bytes() == public
    if missing or (project.money.signing_key is None and not known):
        write_atomically(public_file, public)
    return pem


def require_no_other_key(project: Project) -> None:
    """Check that no month was signed yet, so that a key may be made.

    Raises:
        ProofError: one was; names its public key.
    """
    with open_tables(project.lake_root, "bundles") as connection:
        signed = connection.execute(
            "select period, public_key from bundles order by period desc, statement_version desc limit 1"
        ).fetchone()
    if signed is not None:
        path = key_file(project)
        raise ProofError(
            f"The signing key {path} is not there, and {signed[0]} is signed (public key {signed[1]}). Put that "
            "key there, or name it under money.signing_key; no backup of tribute holds it. If it is lost, make "
            f"another one, and give publishers its public key: openssl genpkey -algorithm ed25519 -out "
            f"{shlex.quote(str(path))}"
        )


def key_file(project: Project) -> Path:
    """Where the project's key is, or will be."""
    path: Path = project.money.signing_key or project.workdir / "signing-key.pem"
    return path


def read_key(path: Path) -> str:
    """The PEM of a key.

    Raises:
        ProofError: the file cannot be read, or is not an Ed25519 private key.
    """
    try:
        pem = path.read_text()
        public_key(pem)
    except (OSError, UnicodeDecodeError):
        raise ProofError(
            f"The signing key {path} is not a file of text. Name one in PEM under money.signing_key"
        ) from None
    except ProofError as problem:
        raise ProofError(f"The signing key {path} cannot be used. {problem}") from None
    return pem


class _Signed(NamedTuple):
    """A committed bundle: the SHA-256 of its file, and the key that signed it."""

    sha256: str
    public_key: str


def _committed(project: Project, run_id: str) -> _Signed | None:
    """A version's bundle, if it is committed."""
    with open_tables(project.lake_root, "bundles") as connection:
        found = connection.execute(
            "select artifact_sha256, public_key from bundles where run_id = $1", [run_id]
        ).fetchone()
    return None if found is None else _Signed(*found)


def _set_reversed_aside(project: Project, version: Version, path: Path) -> None:
    """Rename a version's folder that holds the files of a run that was reversed: they were sent to publishers."""
    with open_tables(project.lake_root, "reversals") as connection:
        void = connection.execute(
            "select reversed_run from reversals where period = $1 and statement_version = $2 order by 1",
            [version.month, version.number],
        ).fetchall()
    if not void or not path.parent.exists():
        return
    if not path.exists() or _read(path, path.read_bytes()).root != merkle_root(version.statements):
        path.parent.rename(path.parent.with_name(f"{path.parent.name}-reversed-{void[0][0]}"))


def _signed_elsewhere(project: Project, path: Path, committed: _Signed) -> bool:
    """Whether a folder with another key signed a version, and here is nothing of it or a late bundle."""
    key = key_file(project)
    own = public_key(read_key(key)) if key.exists() else None
    if committed.public_key == own:
        return False
    return _read(path, path.read_bytes()).public_key == own if path.exists() else not path.parent.exists()


def _content(project: Project, version: Version, path: Path, committed: str | None) -> bytes:
    """The bundle: the file that is committed, or else what is built."""
    there = committed is not None and path.exists()
    content = path.read_bytes() if there else bundle_bytes(project, version)
    if committed in (None, _sha256(content)):
        return content
    what = (
        "was changed after it was signed"
        if there
        else "is gone, and signing anew would give another one: key, version of tribute or lake have changed"
    )
    again = (
        f"; or move it away, and sign the same bytes again: tribute close PROJECT.yaml --period {version.month}"
    )
    raise DamagedFile(
        f"{path} {what} (sha256 {_sha256(content)}; signed and committed: {committed}). Put the signed file back "
        f"from a copy, which publishers and auditors have{again if there else ''}"
    )


def _read(path: Path, content: bytes) -> Bundle:
    try:
        return Bundle.model_validate_json(content)
    except ValueError:
        raise ProofError(
            f"{path} is not a bundle of schema {BUNDLE_SCHEMA}. Use the release of tribute that closed this period"
        ) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
