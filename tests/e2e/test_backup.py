"""Backups taken at every commit of a month, restored elsewhere: the same statements, and the same next tables."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.closing import everything
from tests.e2e.conftest import PERIOD
from tests.projects import write_usage
from tests.unit.jobs.backup.small import quietly, restored
from tests.unit.jobs.commanding import tribute
from tribute.config import Project, load_project
from tribute.royalty.proof import verify_statement
from tribute_jobs.inquiries.audit import verdict_with_project
from tribute_jobs.period.statements import statement_folder
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import Lake, query

NEXT = "2026-11"
KEY = "signing-key.pem"


def work(path: Path, period: str, last: str = "settle") -> bool:
    """Run a month; whether anything was committed."""
    return run(load_project(path), period, JsonReporter(), last).changed


@pytest.fixture(scope="module")
def closed(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:  # noqa: ARG001
    """October is closed; the uses of November are there."""
    path = Path(shutil.copytree(finished_folder, tmp_path_factory.mktemp("backup") / "project")) / "project.yaml"
    october = (path.parent / "usage.jsonl").read_text()
    november = write_usage(path.parent / "usage.jsonl", NEXT)
    rows = [json.dumps(row | {"query_id": f"n{row['query_id']}"}) + "\n" for row in november]
    (path.parent / "usage.jsonl").write_text(october + "".join(rows))
    work(path, PERIOD, "close")
    return path


@pytest.fixture(scope="module")
def backups(closed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A place, and the backups in it: one just before every commit of November, and one after the last."""
    target, made, commit = tmp_path_factory.mktemp("target"), [], Lake.commit

    def backed_up_before(lake: Lake, *arguments, **named) -> bool:
        made.append(quietly(closed, target).backup_id)
        return commit(lake, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lake, "commit", backed_up_before)
        assert work(closed, NEXT)
    return target, [*made, quietly(closed, target).backup_id]


def bundle(project: Project) -> Path:
    return statement_folder(project, PERIOD, 2) / "bundle.json"


@pytest.mark.slow
def test_every_backup_of_a_run_at_work_verifies_elsewhere(
    closed: Path, backups: tuple[Path, list[str]], tmp_path: Path
) -> None:
    target, made = backups
    assert len(made) > 4
    signed = bundle(load_project(closed))
    for number, backup_id in enumerate(made[::2]):
        project = load_project(restored(target, tmp_path / str(number), backup_id).project_file)
        assert bundle(project).read_bytes() == signed.read_bytes()
        assert verdict_with_project(bundle(project), None, project).problems == []
        statements = sorted(bundle(project).parent.glob("*.json"))
        assert [verify_statement(each.read_bytes()) for each in statements if each != bundle(project)] == [[]] * 3
    ask = f"select * from statements where period = '{PERIOD}' order by all"
    assert query(project.lake_root, ask).equals(query(load_project(closed).lake_root, ask))


@pytest.mark.slow
def test_the_next_month_runs_to_the_same_tables_wherever_the_run_was(
    closed: Path, backups: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """Also without the key, which only closing needs; and nothing is committed twice."""
    target, made = backups
    for backup_id in (made[0], made[len(made) // 2], made[-1]):
        path = restored(target, tmp_path / backup_id, backup_id).project_file
        assert not (path.parent / "tribute-data" / KEY).exists()
        assert not work(path, PERIOD)
        assert work(path, NEXT) == (backup_id != made[-1])
        assert everything(load_project(path)) == everything(load_project(closed))
    assert tribute("doctor", path).code == 0
    shutil.copy(load_project(closed).workdir / KEY, load_project(path).workdir / KEY)
    assert work(path, NEXT, "close")
