"""The proof of a closed month: whether its bundle holds, who signed it, and a statement with its own proof."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from tribute.config import Project
from tribute.errors import ProofError
from tribute.royalty.document import Bundle, Statement
from tribute.royalty.proof import Problem, verify_bundle, verify_statement, with_proofs
from tribute_jobs.period.proof import BUNDLE, unsigned_versions
from tribute_jobs.period.statements import statement_folder
from tribute_jobs.service.views.figures import View
from tribute_jobs.service.views.settled import Settled

SHOWN = 5
"""Problems of a bundle that a page lists."""


class StatementDigest(View):
    """The SHA-256 of a statement's canonical JSON."""

    statement_id: str
    currency: str
    sha256: str


class Verification(View):
    """Whether what was signed still holds, and is what is shown.

    `state`: `open` before the month is closed, `half_closed` if closing it was interrupted before it was signed,
    `elsewhere` if another folder on the same lake signed it.
    """

    state: Literal["open", "half_closed", "holds", "broken", "elsewhere"]
    problems: tuple[str, ...] = ()
    public_key: str = ""
    root: str = ""
    statements: int = 0
    """Statements under the root."""
    digests: tuple[StatementDigest, ...] = ()
    """Of every statement that was verified, if it is about those of one publisher."""


def verify_month(project: Project, settled: Settled) -> Verification:
    """Verify a month: all sums, hashes and signatures of its bundle, and that it is of the statements shown.

    Args:
        settled: all statements of the month's newest version.
    """
    if unsigned := _unsigned(project, settled):
        return unsigned
    bundle, found = _read(bundle_path(project, settled.statements[0]))
    if bundle is None:
        return Verification(state="broken", problems=_texts(found))
    problems = (*_texts(found), *_differences(bundle, settled.statements))
    return Verification(
        state="broken" if problems else "holds",
        problems=problems,
        public_key=bundle.public_key,
        root=bundle.root,
        statements=bundle.tree_size,
    )


def verify_own(project: Project, settled: Settled) -> Verification:
    """Verify a publisher's statements with their proofs, as it can itself; shows nothing of other statements.

    Args:
        settled: all of the publisher's in the month's newest version, in every currency.
    """
    if unsigned := _unsigned(project, settled):
        return unsigned
    problems, proof = list[str](), None
    for each in settled.statements:
        try:
            signed = _with_proof(project, each)
        except ProofError as error:
            problems.append(str(error))
            continue
        proof = signed.proof
        problems += (f"{each.statement_id}: {text}" for text in _texts(verify_statement(signed.canonical())))
    return Verification(
        state="broken" if problems else "holds",
        problems=tuple(problems),
        public_key=proof.public_key if proof else "",
        root=proof.root if proof else "",
        statements=proof.tree_size if proof else 0,
        digests=tuple(
            StatementDigest(statement_id=each.statement_id, currency=each.currency, sha256=each.sha256)
            for each in settled.statements
        ),
    )


def signed_statement(project: Project, statement: Statement) -> Statement:
    """The statement with its proof; without one before it is signed, or if another folder signed its month.

    Raises:
        ProofError: the bundle is no bundle any more, or does not hold this statement.
    """
    if statement.status != "final" or not bundle_path(project, statement).is_file():
        return statement
    if (statement.period, statement.statement_version) in unsigned_versions(project):
        return statement  # until a bundle is committed, its file is not to be trusted
    return _with_proof(project, statement)


def bundle_path(project: Project, statement: Statement) -> Path:
    """Where the bundle of a statement's version is, if this folder signed it."""
    return statement_folder(project, statement.period, statement.statement_version) / BUNDLE


def _unsigned(project: Project, settled: Settled) -> Verification | None:
    """Why this folder has no bundle of a version; None: it has one."""
    if settled.state in ("none", "draft"):
        return Verification(state="open")
    if settled.state == "half_closed":
        return Verification(state="half_closed")
    return None if bundle_path(project, settled.statements[0]).is_file() else Verification(state="elsewhere")


def _with_proof(project: Project, statement: Statement) -> Statement:
    bundle, found = _read(bundle_path(project, statement))
    if bundle is None:
        raise ProofError(f"The bundle of {statement.period} is damaged: {_texts(found)[0]}. See: tribute doctor")
    return with_proofs(bundle, [statement])[0]


def _differences(bundle: Bundle, statements: Sequence[Statement]) -> tuple[str, ...]:
    """How the statements of the lake, which pages show, differ from the signed ones."""
    try:
        with_proofs(bundle, statements)
    except ProofError as error:
        return (f"the lake: {error}",)
    if len(statements) != bundle.tree_size:
        return (f"the lake: {bundle.tree_size} statements were signed, and {len(statements)} are shown",)
    return ()


def _read(path: Path) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """A bundle and its problems."""
    return _verified(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _verified(path: Path, changed: int) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """Verified once for every change of the file."""
    del changed
    content = path.read_bytes()
    try:
        bundle = Bundle.model_validate_json(content)
    except ValueError:
        bundle = None
    return bundle, tuple(verify_bundle(content))


def _texts(found: tuple[Problem, ...] | list[Problem]) -> tuple[str, ...]:
    rest = (f"and {len(found) - SHOWN} more",) if len(found) > SHOWN else ()
    return (*(f"{each.place}: {each.message}" for each in found[:SHOWN]), *rest)
