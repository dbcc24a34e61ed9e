"""What changed since the last run, in one line."""

from pathlib import Path

import pytest

from tribute.catalog import Identity
from tribute_jobs.last_run import LastRun, changes
from tribute_storage import LakeDamaged


def test_why_a_stage_runs_again(tmp_path: Path) -> None:
    before, now = (Identity.of("train", {"corpus": corpus, "training.epochs": "2"}) for corpus in ("a", "b"))
    LastRun(tmp_path).remember("train", before)
    assert LastRun(tmp_path).why("train", before) is None
    assert LastRun(tmp_path).why("train", now) == "another corpus"
    assert LastRun(tmp_path).why("simulate", now) is None


def test_files_come_first_and_the_rest_is_counted() -> None:
    before = {"corpus": "1", "training.epochs": "2", "file a.txt": "x", "file b.txt": "x", "torch": "2.8"}
    now = {"corpus": "2", "training.epochs": "3", "file b.txt": "y", "file c.txt": "z", "torch": "2.9"}
    shown = "a.txt is gone, b.txt changed, c.txt is new"
    assert changes(before, now) == f"{shown} and 3 more"
    assert changes(before, before) == ""
    of_values = {name: text for name, text in now.items() if not name.startswith("file")}
    assert changes({}, of_values) == "training.epochs nothing -> 3, another corpus, torch nothing -> 2.9"


@pytest.mark.parametrize(
    "content", ["", "[]", "[1]", '{"train": 1}', '{"train": {"id": "x"}}', '{"train": ["a"]}']
)
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "last_run.json").write_text(content)
    last, now = LastRun(tmp_path), Identity.of("train", {"corpus": "a"})
    assert last.why("train", now) is None
    last.remember("train", now)
    assert LastRun(tmp_path).why("train", now) is None


def test_an_emptied_lake_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    LastRun(tmp_path).require_none("/mnt/lake")
    LastRun(tmp_path).remember("corpus", Identity("corpus-1", {}))
    with pytest.raises(
        LakeDamaged, match=r"The lake /mnt/lake is empty, though .*last_run.json says .* Mount its"
    ):
        LastRun(tmp_path).require_none("/mnt/lake")
    (tmp_path / "last_run.json").unlink()
    LastRun(tmp_path).require_none("/mnt/lake")
