from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Basis, Lake, LakeConflict, LakeError, log, open_tables
from tribute_storage.log import TableLog
from tribute_storage.upkeep.maintenance import compact, orphans, retain


def committed_rows(root: Path) -> list[tuple[str, str]]:
    with open_tables(root, "publishers") as connection:
        return connection.execute("SELECT run_id, publisher_id FROM publishers ORDER BY ALL").fetchall()


def test_nothing_is_there_before_the_first_commit(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "never made")
    assert lake.version("publishers") is None
    assert lake.files("publishers") == orphans(lake) == []
    assert not lake.committed("publishers", "r1")
    assert not (tmp_path / "never made").exists()


def test_a_run_is_committed_once_per_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    staged = [lake.stage("publishers", publisher_rows("r1", [name])) for name in ("p1", "p2")]
    assert lake.commit("publishers", "r1", staged)
    assert not lake.commit("publishers", "r1", staged)
    assert not lake.append("publishers", "r1", publisher_rows("r1", ["p3"]))
    assert not lake.committed("rights", "r1")
    assert (lake.version("publishers"), orphans(lake)) == (0, [])
    assert committed_rows(tmp_path) == [("r1", "p1"), ("r1", "p2")]


def test_a_commit_between_check_and_commit_is_a_conflict_not_a_second_copy(tmp_path: Path, monkeypatch) -> None:
    lake = Lake(tmp_path)
    lake.append("publishers", "r0", publisher_rows("r0", ["p0"]))
    staged = lake.stage("publishers", publisher_rows("r1", ["late"]))
    once = log._addition

    def overtaken(*arguments: Any) -> AddAction:
        monkeypatch.setattr(log, "_addition", once)  # the rival is not overtaken itself
        assert Lake(tmp_path).append("publishers", "r1", publisher_rows("r1", ["early"]))
        return once(*arguments)

    monkeypatch.setattr(log, "_addition", overtaken)  # the only moment between check and commit
    assert not lake.commit("publishers", "r1", [staged])
    assert committed_rows(tmp_path) == [("r0", "p0"), ("r1", "early")]


def test_what_follows_from_an_older_version_is_not_committed(tmp_path: Path) -> None:
    """Of two writers that read one version and say what comes next, one is refused, and told who was first."""
    lake = Lake(tmp_path)
    for number in range(2):  # also where neither has found a table
        basis, runs = Basis(lake.version("publishers")), (f"one-{number}", f"other-{number}")
        assert lake.append("publishers", runs[0], publisher_rows(runs[0], ["one"]), basis=basis)
        with pytest.raises(LakeConflict, match=rf"another process committed one-{number} at 20.* UTC, .* Run the"):
            lake.append("publishers", runs[1], publisher_rows(runs[1], ["other"]), basis=basis)
        assert not lake.append("publishers", runs[0], publisher_rows(runs[0], ["one"]), basis=basis), "it is there"
    assert committed_rows(tmp_path) == [("one-0", "one"), ("one-1", "one")]


def test_only_conflicting_rows_are_in_the_way_of_what_follows(tmp_path: Path) -> None:
    """Not those of others, nor a compaction that writes the conflicting rows of earlier versions anew."""
    lake = Lake(tmp_path)
    lake.append("publishers", "r0", publisher_rows("r0", ["a", "b"]))
    basis = Basis(lake.version("publishers"), lambda: pc.field("publisher_id") == "a")
    lake.append("publishers", "r1", publisher_rows("r1", ["b"]))
    assert compact(lake, "publishers").after == 1
    lake.require_unchanged("publishers", "r2", basis)
    assert lake.append("publishers", "r2", publisher_rows("r2", ["a"]), basis=basis)
    with pytest.raises(LakeConflict, match="committed r2 at"):
        lake.require_unchanged("publishers", "r3", basis)
    of_nobody = Basis(basis.version, lambda: pc.field("publisher_id") == "nobody")
    assert lake.append("publishers", "r3", publisher_rows("r3", ["b"]), basis=of_nobody)


@pytest.mark.parametrize("made", [False, True])
def test_nothing_comes_between_the_check_of_a_basis_and_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    """A commit of other rows in between: deltalake by itself would write the later one on top of it."""
    lake, append = Lake(tmp_path), TableLog.append
    if made:
        lake.append("publishers", "r0", publisher_rows("r0", ["p0"]))
    basis = Basis(lake.version("publishers"))

    def overtaken(log: TableLog, *given: Any, **options: Any) -> None:
        monkeypatch.setattr(TableLog, "append", append)  # the rival is not overtaken itself
        assert Lake(tmp_path).append("publishers", "rival", publisher_rows("rival", ["early"]))
        append(log, *given, **options)

    monkeypatch.setattr(TableLog, "append", overtaken)
    with pytest.raises(LakeConflict, match="committed rival at"):
        lake.append("publishers", "late", publisher_rows("late", ["late"]), basis=basis)
    assert [run for run, _ in committed_rows(tmp_path)] == ["r0", "rival"][not made :]


def test_a_run_without_rows_is_committed_too(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.commit("publishers", "empty", [])
    assert lake.append("publishers", "r1", publisher_rows("r1", []))
    assert lake.committed("publishers", "empty")
    assert committed_rows(tmp_path) == []


def test_files_of_an_older_version_are_not_orphans(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
    DeltaTable(tmp_path / "publishers").optimize.compact()
    assert (len(lake.files("publishers")), orphans(lake)) == (1, [])
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
    with pytest.raises(
        LakeError, match=r"Table publishers of .* is damaged: publishers/_delta_log/0+.json cannot"
    ):
        lake.files("publishers")


def fail_after(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Let a method of the log do its work once and then fail, as a lost answer of an object store looks."""
    done = getattr(TableLog, method)

    def failing(self: TableLog, *arguments, **options) -> None:
        monkeypatch.setattr(TableLog, method, done)
        done(self, *arguments, **options)
        raise DeltaError("the answer was lost")

    monkeypatch.setattr(TableLog, method, failing)


@pytest.mark.parametrize("earlier", [[], ["r0"]])
def test_a_commit_whose_answer_was_lost_counts_as_done(earlier: list[str], tmp_path: Path, monkeypatch) -> None:
    lake = Lake(tmp_path)
    for run_id in earlier:
        lake.append("publishers", run_id, publisher_rows(run_id, ["p0"]))
    fail_after(monkeypatch, "append")
    assert lake.append("publishers", "r1", publisher_rows("r1", ["p1"]))
    assert committed_rows(tmp_path)[-1] == ("r1", "p1")
    assert lake.version("publishers") == len(earlier)


def test_a_compaction_whose_answer_was_lost_keeps_what_it_wrote(tmp_path: Path, monkeypatch) -> None:
    lake = Lake(tmp_path)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
    fail_after(monkeypatch, "replace")
    assert compact(lake, "publishers") == (2, 1)
    assert (committed_rows(tmp_path), orphans(lake)) == ([("r1", "p1"), ("r2", "p1")], [])


def test_a_version_whose_files_were_deleted_is_a_clear_error(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
    compact(lake, "publishers")
    assert len(retain(lake, "publishers", 0, dry_run=False)) == 2
    with pytest.raises(
        LakeError, match=r"publishers of .* cannot be read at 1: 2 of its 2 files were deleted since"
    ):
        lake.files("publishers", 1)
