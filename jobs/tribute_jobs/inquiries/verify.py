"""`tribute verify`: a statement or a bundle verified offline; a bundle also compared with the project."""

from dataclasses import replace
from pathlib import Path

from tribute.config import Project
from tribute.errors import ProofError
from tribute.royalty.document import Bundle
from tribute.royalty.proof import Verdict, verdict
from tribute_jobs.inquiries.audit import recheck


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
