"""A closed period is completed: ledger entries, a signed bundle, and statements with proofs that verify."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.projects import write_project
from tests.statements import statements
from tests.unit.storage.rows import lone_valuation
from tribute.config import Project, load_project
from tribute.errors import DamagedFile, ProofError
from tribute.royalty.document import read_statement
from tribute.royalty.proof import new_key, verify_bundle, verify_statement
from tribute_jobs.checks.money import check_key
from tribute_jobs.checks.subject import Subject
from tribute_jobs.context import Inputs, open_context
from tribute_jobs.period.closing import close
from tribute_jobs.period.ledger import read_ledger
from tribute_jobs.period.proof import bundle_bytes, signing_key
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version, read_period, statement_folder
from tribute_jobs.progress import PeopleReporter
from tribute_storage import Lake
from tribute_storage.atomic import write_atomically

MONTH = "2026-10"


def completed(project: Project) -> Version:
    """The newest version after `close`, which finds the period closed and completes it."""
    with open_context(project, PeopleReporter(Console(file=io.StringIO()))) as context:
        return close(context, read_period(project, MONTH), "value-1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A lake whose newest version is final, with neither ledger nor bundle: closing was interrupted."""
    found = load_project(write_project(tmp_path, name="demo"))
    lake = Lake(found.lake_root)
    lake.append("valuations", "value-1", lone_valuation("value-1"))
    commit(lake, Settlement(Version("settle-1", tuple(statements(MONTH)))))
    return found


def test_an_interrupted_closing_is_completed_once(project: Project) -> None:
    version = completed(project)
    folder = statement_folder(project, MONTH, 1)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert verify_bundle(files["bundle.json"]) == []
    sent = [content for name, content in files.items() if name.endswith(".json") and name != "bundle.json"]
    assert len(sent) == len(version.statements)
    assert [verify_statement(content) for content in sent] == [[]] * len(sent)
    assert {read_statement(content).unproven().sha256 for content in sent} == {
        each.sha256 for each in version.statements
    }
    ledger = read_ledger(project)
    assert ledger and completed(project) == version
    assert read_ledger(project) == ledger
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_a_bundle_that_changed_after_it_was_signed_is_refused(project: Project) -> None:
    completed(project)
    path = statement_folder(project, MONTH, 1) / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b'"rows":0', b'"rows":1', 1))
    with pytest.raises(DamagedFile, match="was changed after it was signed"):
        completed(project)


def test_a_lost_bundle_is_written_again_as_it_was(project: Project) -> None:
    completed(project)
    path = statement_folder(project, MONTH, 1) / "bundle.json"
    before = path.read_bytes()
    path.unlink()
    completed(project)
    assert path.read_bytes() == before


def test_what_another_folder_signed_with_a_key_of_its_own_is_left_as_it_is(
    project: Project, tmp_path: Path
) -> None:
    """Two folders on one lake: the bundle that was committed counts, and a bundle that came late is removed."""
    other = load_project(write_project(tmp_path / "other", name="demo", lake=str(project.lake_root)))
    assert completed(other) == completed(project) == completed(other)
    assert (statement_folder(other, MONTH, 1) / "bundle.json").exists()
    assert not statement_folder(project, MONTH, 1).exists()
    (project.workdir / "signing-key.pem").write_text(new_key()[0])
    late = bundle_bytes(project, completed(project))
    assert verify_bundle(late) == []
    write_atomically(statement_folder(project, MONTH, 1) / "bundle.json", late)
    assert completed(project) == completed(other)
    assert not statement_folder(project, MONTH, 1).exists()


def test_a_key_that_signed_and_is_gone_is_not_replaced_in_silence(project: Project) -> None:
    completed(project)
    key = project.workdir / "signing-key.pem"
    content = key.read_text()
    key.unlink()
    with pytest.raises(
        ProofError, match=rf"{key.name} is not there, and {MONTH} is signed \(public key [0-9a-f]+\)"
    ):
        signing_key(project)
    assert not key.exists()
    checked = check_key(Subject(Inputs(project), MONTH, "settle", True))
    assert checked is not None and checked.text == "no month can be closed" and len(checked.warnings) == 1
    with pytest.raises(ProofError, match=r"Put that key there"):
        check_key(Subject(Inputs(project), MONTH, "close", True))
    other, public = new_key()
    for pem in (other, content):
        key.write_text(pem)
        assert signing_key(project) == pem
        assert (key.with_suffix(".pub").read_text() == f"{public}\n") == (pem == other)
