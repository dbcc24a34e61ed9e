"""`tribute init` writes a project that runs unchanged, and overwrites none."""

from pathlib import Path

import pytest

from tribute.config import InstalledDocsSettings, load_project
from tribute.errors import ConfigError
from tribute_jobs.commands.setup import write_demo, write_starter


def test_the_starter_is_a_valid_project_named_after_its_folder(tmp_path: Path) -> None:
    project = load_project(write_starter(tmp_path / "My Press!"))
    assert project.name == "My-Press"
    assert isinstance(project.corpus, InstalledDocsSettings)
    assert project.workdir == tmp_path / "My Press!" / "tribute-data"
    demo = load_project(write_demo(tmp_path / "demo"))
    assert (project.valuation.budget, demo.valuation.budget) == (20, 10)


def test_a_project_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = write_starter(tmp_path)
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(ConfigError, match="exists already"):
        write_starter(tmp_path)
    assert write_demo(tmp_path) == path
    assert path.read_text().endswith("# mine\n")
