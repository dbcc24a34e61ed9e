"""The proof of a closed month: whether its bundle holds, who signed it, and a statement with its own proof."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from tribute.config import Project
from tribute.errors import ProofError
from tribute.royalty.document import Bundle, Statement
from tribute.royalty.proof import Problem, verify_bundle, verify_statement, with_proofs
from tribute_jobs.period.proof import BUNDLE
from tribute_jobs.period.statements import statement_folder
from tribute_jobs.service.views.figures import View

SHOWN = 5
"""Problems of a bundle that a page lists."""


class Verification(View):
    """Whether what was signed still holds.

    `state`: `open` before the month is closed, `elsewhere` if another folder on the same lake signed it.
    """

    state: Literal["open", "holds", "broken", "elsewhere"]
    problems: tuple[str, ...] = ()
    public_key: str = ""
    root: str = ""
    statements: int = 0
    """Statements under the root."""
    sha256: str = ""
    """Of the statement's canonical JSON, if it is about a single one."""


def verify_month(project: Project, period: str, version: int, final: bool) -> Verification:
    """Verify the bundle of a version: every sum, every hash, both signatures. For the operator."""
    if not final:
        return Verification(state="open")
    path = bundle_path(project, period, version)
    if not path.is_file():
        return Verification(state="elsewhere")
    bundle, found = _read(path, path.stat().st_mtime_ns)
    return _verification(found, bundle)


def verify_own(project: Project, statement: Statement) -> Verification:
    """Verify one statement with its proof, as its publisher can; shows nothing of other statements."""
    if statement.status != "final":
        return Verification(state="open")
    try:
        signed = signed_statement(project, statement)
    except ProofError as error:
        return Verification(state="broken", problems=(str(error),))
    if signed.proof is None:
        return Verification(state="elsewhere")
    proof, found = signed.proof, verify_statement(signed.canonical())
    return Verification(
        state="broken" if found else "holds",
        problems=_texts(found),
        public_key=proof.public_key,
        root=proof.root,
        statements=proof.tree_size,
        sha256=statement.sha256,
    )


def signed_statement(project: Project, statement: Statement) -> Statement:
    """The statement with its proof; without one while it is a draft, or if another folder signed its month.

    Raises:
        ProofError: the bundle is no bundle any more, or does not hold this statement.
    """
    path = bundle_path(project, statement.period, statement.statement_version)
    if statement.status != "final" or not path.is_file():
        return statement
    bundle, found = _read(path, path.stat().st_mtime_ns)
    if bundle is None:
        raise ProofError(f"The bundle of {statement.period} is damaged: {_texts(found)[0]}. See: tribute doctor")
    return with_proofs(bundle, [statement])[0]


def bundle_path(project: Project, period: str, version: int) -> Path:
    """Where a version's bundle is, if this folder signed it."""
    return statement_folder(project, period, version) / BUNDLE


@lru_cache(maxsize=8)
def _read(path: Path, changed: int) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """A bundle and its problems; verified once for every change of the file."""
    del changed
    content = path.read_bytes()
    try:
        bundle = Bundle.model_validate_json(content)
    except ValueError:
        bundle = None
    return bundle, tuple(verify_bundle(content))


def _verification(bundle_problems: tuple[Problem, ...], bundle: Bundle | None) -> Verification:
    if bundle is None:
        return Verification(state="broken", problems=_texts(bundle_problems))
    return Verification(
        state="broken" if bundle_problems else "holds",
        problems=_texts(bundle_problems),
        public_key=bundle.public_key,
        root=bundle.root,
        statements=bundle.tree_size,
    )


def _texts(found: tuple[Problem, ...] | list[Problem]) -> tuple[str, ...]:
    rest = (f"and {len(found) - SHOWN} more",) if len(found) > SHOWN else ()
    return (*(f"{each.place}: {each.message}" for each in found[:SHOWN]), *rest)
