"""A project whose lake is not mounted is refused by every command."""

from pathlib import Path

import pytest

from tests.statements import statements
from tests.unit.jobs.commanding import lake_of, project_with, tribute
from tribute.catalog import Identity
from tribute.config import load_project
from tribute_jobs.last_run import LastRun

PERIOD = "2026-10"


@pytest.mark.parametrize("mount_point", [True, False])
def test_a_lake_that_is_not_mounted_is_not_taken_for_an_empty_one(tmp_path: Path, mount_point: bool) -> None:
    path = project_with(tmp_path, {"settle-1": statements(period=PERIOD)})
    LastRun(load_project(path).workdir).remember("corpus", Identity("corpus-1", {}))
    lake = Path(lake_of(path).root)
    lake.rename(tmp_path / "elsewhere")
    if mount_point:
        lake.mkdir()
    for command in (
        ("status", path),
        ("sql", path, "from statements"),
        ("report", path, "--period", PERIOD),
        ("ledger", "check", path),
        ("backup", path, tmp_path / "backups"),
        ("doctor", path, "--repair", "--yes"),
    ):
        ran = tribute(*command)
        assert ran.code != 0 and ran.text.startswith(f"The lake {lake} is empty"), (command, ran)
    assert not (tmp_path / "backups").exists()
    if mount_point:
        lake.rmdir()
    (tmp_path / "elsewhere").rename(lake)
    assert tribute("status", path).code == 0
