"""Months and their files: half-closed months, signed bundles, copies of settled files, statements as files."""

from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path

from tribute.catalog import recorded_artifacts
from tribute.errors import ProofError
from tribute.files.digests import file_sha256
from tribute.files.sealed import problem_of
from tribute.royalty.proof import public_key
from tribute_jobs.doctor.artifacts import RESTORE
from tribute_jobs.doctor.fault import Fault, Repair
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_jobs.period.files import file_names, recorded_sums
from tribute_jobs.period.proof import key_file, read_key, unsigned_versions
from tribute_jobs.period.statements import statement_folder
from tribute_jobs.reversal import double_finals
from tribute_storage import open_tables
from tribute_storage.atomic import write_atomically

BUNDLE = (
    "Put the signed file back from a copy, which publishers and auditors have; or move it away, and sign the same "
    "bytes again: tribute close PROJECT.yaml --period {month}"
)
UNKNOWN = (
    "No version of the lake has it. Restore the lake from a backup, or delete the folder if nobody was sent it"
)


def examine_statements(examined: ExaminedProject) -> Iterator[Fault]:
    """Months that are half closed, and files that are missing or not what was written.

    The files of a version that another folder on this lake signed are in that folder.
    """
    elsewhere = frozenset(_signed_elsewhere(examined))
    yield from (Fault(each.problem, "") for each in double_finals(examined.project))
    yield from _half_closed(examined)
    yield from _bundles(examined, elsewhere)
    yield from _copies(examined, elsewhere)
    yield from _files(examined, elsewhere)


def _signed_elsewhere(examined: ExaminedProject) -> Iterator[Path]:
    """Folders of versions that are not here, and were signed with another key than this folder's."""
    project, key = examined.project, key_file(examined.project)
    try:
        own = public_key(read_key(key)) if key.exists() else None
    except ProofError:  # another check reports it
        own = None
    with open_tables(project.lake_root, "bundles") as connection:
        rows = connection.execute("select period, statement_version, public_key from bundles").fetchall()
    for month, version, signer in rows:
        folder = statement_folder(project, month, version)
        if signer != own and not folder.is_dir():
            yield folder


def _half_closed(examined: ExaminedProject) -> Iterator[Fault]:
    for month, version in unsigned_versions(examined.project):
        what = f"version {version} of {month} is final, and was not signed: its closing was interrupted"
        yield Fault(what, f"Complete it: tribute close PROJECT.yaml --period {month}")


def _bundles(examined: ExaminedProject, elsewhere: Container[Path]) -> Iterator[Fault]:
    with open_tables(examined.project.lake_root, "reversals") as connection:
        void = {run_id for (run_id,) in connection.execute("select reversed_bundle from reversals").fetchall()}
    for each in recorded_artifacts(examined.project, "bundles"):
        if each.run_id in void or each.path.parent in elsewhere:
            continue
        if problem := problem_of(each.path, each.sha256):
            month = each.path.parent.name.rpartition("-v")[0]
            yield Fault(f"{each.path} {problem}", BUNDLE.format(month=month))


def _copies(examined: ExaminedProject, elsewhere: Container[Path]) -> Iterator[Fault]:
    """Copies of the files that statements rest on. The project's own file restores one if it has not changed."""
    own: dict[str, Path] | None = None
    with open_tables(examined.project.lake_root, "statements") as connection:
        rows = connection.execute("select distinct run_id, period, statement_version from statements").fetchall()
    absent = {run_id for run_id, month, n in rows if statement_folder(examined.project, month, n) in elsewhere}
    for each in recorded_artifacts(examined.project, "settled_files"):
        if (problem := problem_of(each.path, each.sha256)) is None:
            continue
        if each.run_id in absent and not each.path.is_file():
            continue
        own = _own_files(examined) if own is None else own
        source = own.get(each.sha256)
        if source is None:
            yield Fault(f"{each.path} {problem}, and statements rest on it", RESTORE)
            continue
        step = Repair(
            f"copy {source} to {each.path}: it has the recorded SHA-256", partial(_copy, source, each.path)
        )
        remedy = (
            "Copy the project's file again, which has the recorded SHA-256: tribute doctor PROJECT.yaml --repair"
        )
        yield Fault(f"{each.path} {problem}, and statements rest on it", remedy, repair=step)


def _own_files(examined: ExaminedProject) -> dict[str, Path]:
    settings = (examined.project.money.fees, examined.project.rights.agreements, examined.project.rights.terms)
    return {file_sha256(path): path for path in settings if path is not None and path.is_file()}


def _copy(source: Path, copy: Path) -> None:
    write_atomically(copy, source.read_bytes())


def _files(examined: ExaminedProject, elsewhere: Container[Path]) -> Iterator[Fault]:
    """The files of every version that people read. They are written from the lake's statements."""
    project, known = examined.project, set[Path]()
    with open_tables(project.lake_root, "statements") as connection:
        rows = connection.execute(
            "select period, statement_version, bool_or(status = 'final'), "
            "statement_version = max(statement_version) over (partition by period), "
            "list((publisher_id, currency)) from statements group by period, statement_version order by 1, 2"
        ).fetchall()
    for month, number, final, newest, accounts in rows:
        folder = statement_folder(project, month, number)
        known.add(folder)
        if (final or newest) and folder not in elsewhere:  # other drafts were replaced
            command = f"tribute {'close' if final else 'run'} PROJECT.yaml --period {month}"
            yield from _of_version(folder, file_names(accounts), command)
    for folder in sorted((project.workdir / "statements").glob("*-v*")):
        if folder.is_dir() and folder not in known and "-reversed-" not in folder.name:
            yield Fault(f"{folder} is of no version of its month", UNKNOWN, grave=False)


def _of_version(folder: Path, names: list[str], command: str) -> Iterator[Fault]:
    remedy = f"{command} writes it again from the lake"
    if not folder.is_dir():
        yield Fault(f"{folder} is missing", f"{command} writes its files again from the lake")
        return
    sums = recorded_sums(folder)
    for name in dict.fromkeys([*names, *sums]):
        path = folder / name
        if not path.is_file():
            yield Fault(f"{path} is missing", remedy)
        elif name in sums and (problem := problem_of(path, sums[name])):
            step = Repair(f"delete {path}: {remedy}", path.unlink)
            first = "Remove it: tribute doctor PROJECT.yaml --repair. Then "
            yield Fault(f"{path} {problem}", first + remedy, repair=step)
