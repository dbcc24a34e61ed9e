import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.unit.storage import committer
from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake, LakeError, query

ROOT = Path(__file__).parents[3]


def start(root: Path, stamp: str, commits: int, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", committer.__name__, str(root), stamp, str(commits), mode]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def race(root: Path, processes: int, commits: int, mode: str) -> int:
    """Let the processes commit from the same moment on; how many commits they count as their own."""
    started = [start(root, f"w{number}", commits, mode) for number in range(processes)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    root.mkdir(exist_ok=True)
    (root / "go").touch()
    answers = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes
    return sum(int(answer) for answer in answers)


def committed_rows(root: Path) -> list[tuple[str, str]]:
    rows = query(root, "SELECT run_id, publisher_id FROM publishers ORDER BY ALL").to_pylist()
    return [(row["run_id"], row["publisher_id"]) for row in rows]


def test_nothing_is_there_before_the_first_commit(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "never made")
    assert lake.version("publishers") is None
    assert lake.files("publishers") == lake.orphans() == []
    assert not lake.committed("publishers", "r1")
    assert not (tmp_path / "never made").exists()


def test_a_run_is_committed_once_per_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    staged = [lake.stage("publishers", publisher_rows("r1", [name])) for name in ("p1", "p2")]
    assert lake.commit("publishers", "r1", staged)
    assert not lake.commit("publishers", "r1", staged)
    assert not lake.append("publishers", "r1", publisher_rows("r1", ["p3"]))
    assert not lake.committed("rights", "r1")
    assert (lake.version("publishers"), lake.orphans()) == (0, [])
    assert committed_rows(tmp_path) == [("r1", "p1"), ("r1", "p2")]


def test_a_commit_between_check_and_commit_is_a_conflict_not_a_second_copy(tmp_path: Path, monkeypatch) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r0", publisher_rows("r0", ["p0"]))
    staged = lake.stage("publishers", publisher_rows("r1", ["late"]))
    once = Lake._additions

    def overtaken(self: Lake, table: str, files: list) -> list:
        monkeypatch.setattr(Lake, "_additions", once)  # the rival is not overtaken itself
        assert Lake(tmp_path).append("publishers", "r1", publisher_rows("r1", ["early"]))
        return once(self, table, files)

    monkeypatch.setattr(Lake, "_additions", overtaken)  # the only moment between check and commit
    assert not lake.commit("publishers", "r1", [staged])
    assert committed_rows(tmp_path) == [("r0", "p0"), ("r1", "early")]


def test_a_run_without_rows_is_committed_too(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.commit("publishers", "empty", [])
    assert lake.append("publishers", "r1", publisher_rows("r1", []))
    assert lake.committed("publishers", "empty")
    assert committed_rows(tmp_path) == []


def test_a_killed_writer_is_invisible_and_found(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    with start(tmp_path, "killed", 1, "die") as writer:
        assert writer.wait(timeout=60) == -9
    (tmp_path / "publishers" / ".half.parquet.0123").write_bytes(b"PAR1")
    assert committed_rows(tmp_path) == [("r1", "p1")]
    assert len(lake.orphans()) == 2
    assert not set(map(str, lake.orphans())) & set(lake.files("publishers"))


def test_files_of_an_older_version_are_not_orphans(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
    DeltaTable(tmp_path / "publishers").optimize.compact()
    assert (len(lake.files("publishers")), lake.orphans()) == (1, [])
    assert committed_rows(tmp_path) == [("r1", "p1"), ("r2", "p1")]


def test_the_order_of_files_depends_on_their_content_only(tmp_path: Path) -> None:
    contents = []
    for name, order in (("a", ["p1", "p2", "p3"]), ("b", ["p3", "p1", "p2"])):
        lake = Lake(tmp_path / name)
        lake.commit("publishers", "r", [lake.stage("publishers", publisher_rows("r", [p])) for p in order])
        contents.append([Path(file).read_bytes() for file in lake.files("publishers")])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", ["a b%[1]*?é", "it's"])
def test_odd_folder_names_are_fine(name: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path / name)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
    assert all(Path(file).is_file() for file in lake.files("publishers"))
    assert committed_rows(tmp_path / name) == [("r1", "p1"), ("r2", "p1")]


def test_a_percent_escape_in_the_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="percent escape; choose one without it"):
        Lake(tmp_path / "a%20b")


def test_a_broken_log_is_a_clear_error(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    (tmp_path / "publishers" / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(LakeError, match=r"Table publishers of .* cannot be read"):
        lake.files("publishers")


def test_concurrent_first_commits_lose_and_double_nothing(tmp_path: Path) -> None:
    assert race(tmp_path, processes=4, commits=8, mode="own") == 32
    expected = sorted((f"w{worker}-{number}", f"w{worker}") for worker in range(4) for number in range(8))
    assert committed_rows(tmp_path) == expected
    assert (Lake(tmp_path).version("publishers"), Lake(tmp_path).orphans()) == (31, [])


def test_drivers_that_race_for_one_run_commit_it_once(tmp_path: Path) -> None:
    assert race(tmp_path, processes=4, commits=6, mode="shared") == 6
    assert [run_id for run_id, _ in committed_rows(tmp_path)] == [f"shared-{number}" for number in range(6)]
    assert len(Lake(tmp_path).orphans()) == 18


def test_drivers_that_race_to_make_a_table_make_it_once(tmp_path: Path) -> None:
    assert race(tmp_path, processes=3, commits=40, mode="first") == 40
    lakes = [Lake(tmp_path / str(number)) for number in range(40)]
    assert [lake.version("publishers") for lake in lakes] == [0] * 40
    assert [len(lake.orphans()) for lake in lakes] == [2] * 40
