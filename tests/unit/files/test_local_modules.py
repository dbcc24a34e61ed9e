"""A task of one's own in a file beside `project.yaml`."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.projects import write_project
from tests.unit.jobs.commanding import tribute
from tribute.catalog import lineage
from tribute.config import Project, load_project
from tribute.errors import ConfigError
from tribute.files.local_modules import search_beside, unused_file
from tribute.tasks import build_task

TASK = """
from torch import nn
from widths import WIDTH

class Mine:
    def build(self):
        return nn.Linear(WIDTH, 1)

    def training_loss(self, model, batch):
        return model(batch["tokens"][:, :WIDTH].float())[:, 0] ** 2

    def measurement(self, model, queries):
        return -self.training_loss(model, queries)
"""


@pytest.fixture(autouse=True)
def _same_path(tmp_path: Path) -> Iterator[None]:
    """No folder of a test stays on the path."""
    before = list(sys.path)
    yield
    empty = tmp_path / "empty"
    empty.mkdir(exist_ok=True)
    search_beside(empty)  # forgets the modules of the last project
    sys.path[:] = before


def project(folder: Path, width: int) -> Project:
    path = write_project(folder, task={"name": "ourtask:Mine", "options": {}})
    (folder / "ourtask.py").write_text(TASK)
    (folder / "widths.py").write_text(f"WIDTH = {width}\n")
    return load_project(path)


def test_each_project_has_its_own_modules_though_their_names_are_the_same(tmp_path: Path) -> None:
    one, other = project(tmp_path / "one", 3), project(tmp_path / "other", 5)
    assert [build_task(each.task).size for each in (one, other, one)] == [4, 6, 4]


def test_the_run_id_counts_the_code_and_not_its_place(tmp_path: Path) -> None:
    before = lineage(project(tmp_path / "one", 3)).train_run
    shutil.copytree(tmp_path / "one", tmp_path / "moved")
    assert lineage(load_project(tmp_path / "moved" / "project.yaml")).train_run == before
    parts = lineage(project(tmp_path / "other", 5)).train
    assert parts.run_id != before and {"code ourtask", "code widths"} <= parts.parts.keys()


def test_what_is_installed_comes_first_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise RuntimeError")
    (tmp_path / "token.py").write_text("raise RuntimeError")
    (tmp_path / "ourtask.py").write_text(TASK)
    search_beside(tmp_path)
    assert "yaml/__init__.py: " in unused_file("yaml", tmp_path)
    assert f"{tmp_path / 'token.py'} is not used" in unused_file("token", tmp_path)
    assert unused_file("ourtask", tmp_path) == unused_file("nowhere", tmp_path) == ""


def test_modules_of_others_are_kept_when_the_project_changes(tmp_path: Path) -> None:
    """A virtual environment inside the project's folder is none of its modules."""
    inside = tmp_path / "one" / "venv" / "lib"
    inside.mkdir(parents=True)
    (inside / "elsewhere_mod.py").write_text("X = 1\n")
    (tmp_path / "one" / "beside_mod.py").write_text("X = 1\n")
    sys.path.append(str(inside))
    search_beside(tmp_path / "one")
    __import__("elsewhere_mod"), __import__("beside_mod")
    search_beside(tmp_path)
    assert "elsewhere_mod" in sys.modules and "beside_mod" not in sys.modules
    del sys.modules["elsewhere_mod"]


def test_a_class_of_a_notebook_is_refused_at_once(tmp_path: Path) -> None:
    path = write_project(tmp_path, task={"name": "__main__:Mine", "options": {}})
    with pytest.raises(ConfigError, match=r"which workers cannot import.*such as mytask\.py, and name"):
        build_task(load_project(path).task)


def test_check_tries_it_from_any_folder_and_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path / "one", 3)
    monkeypatch.chdir(tmp_path)
    text = tribute("check", tmp_path / "one" / "project.yaml", "--period", "2026-10").text
    assert "ok   task        Task ourtask:Mine with options {} keeps the contract" in text, text
