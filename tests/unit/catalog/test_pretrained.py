"""A Hugging Face model's identity: the content of its folders, the commit of its hub id, and versions."""

from pathlib import Path

import pytest

from tribute.catalog import lineage, task_code
from tribute.config import Project, TaskSettings
from tribute.errors import ConfigError
from tribute.files import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def parts_of(folder: Path | None = None, **options: object) -> dict[str, str]:
    task = TaskSettings(name="huggingface", options=options)
    task = task if folder is None else task.beside(folder)
    project = Project(name="p", corpus={"kind": "text", "path": "a"}, task=task)
    return dict(lineage(project).train.parts)


def run_of(folder: Path, **options: object) -> str:
    task = TaskSettings(name="huggingface", options=options).beside(folder)
    return lineage(Project(name="p", corpus={"kind": "text", "path": "a"}, task=task)).train_run


def checkpoint(folder: Path, weights: bytes) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_another_checkpoint_under_the_same_path_is_another_model(tmp_path: Path) -> None:
    base = checkpoint(tmp_path / "base", b"one")
    first = run_of(tmp_path, model="base")
    assert first == run_of(tmp_path, model="base")
    (base / "model.safetensors").write_bytes(b"two")
    second = run_of(tmp_path, model="base")
    assert second != first
    checkpoint(tmp_path / "adapter", b"three")
    adapted = run_of(tmp_path, model="base", adapter="adapter")
    (tmp_path / "adapter" / "model.safetensors").write_bytes(b"four")
    assert len({first, second, adapted, run_of(tmp_path, model="base", adapter="adapter")}) == 4


def test_a_project_that_moved_has_the_same_model(tmp_path: Path) -> None:
    ids = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        checkpoint(tmp_path / name / "base", b"one")
        ids.append(run_of(tmp_path / name, model="base"))
    assert ids[0] == ids[1]


def test_versions_of_the_libraries_count_where_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(tmp_path / "base", b"one")
    assert "transformers" in parts_of(tmp_path, model="base")
    assert "peft" not in parts_of(tmp_path, model="base")
    assert "peft" in parts_of(tmp_path, model="base", adapter={"r": 2})
    monkeypatch.setattr(task_code, "LIBRARIES", ("no-such-library",))
    with pytest.raises(ConfigError, match=r"package no-such-library. Install it: pip install 'tribute\[hf\]'"):
        parts_of(tmp_path, model="base")


def test_a_hub_id_counts_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--org--small" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    refs = tmp_path / "models--org--small" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    assert parts_of(model="org/small")["model commit"] == COMMIT
    assert parts_of(model="org/small", revision=COMMIT[::-1])["model commit"] == COMMIT[::-1]


def test_an_unknown_hub_id_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"no folder of that name, and no commit on the hub .*Give a local"):
        hub.hub_commit("no-such-org/no-such-model", None)
