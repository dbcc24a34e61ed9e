"""From the outbox to the lake: the same uses make the same runs, whatever is interrupted, and whoever races."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.projects import write_project
from tribute.catalog import RecordedUses, RecordedWith, lineage, record_uses, recorded_use
from tribute.catalog.sums import attribution_runs, source_sums
from tribute.config import Project, load_project
from tribute.readout import SourceHead
from tribute_storage import Lake, LakeError, open_tables
from tribute_storage.outbox import USE

SOURCES = ("daily", "recipes", "sports")
HEAD = SourceHead(np.arange(12.0).reshape(2, 2, 3) - 4)
RECORDING = RecordedWith(SOURCES, 2, {"head-1": HEAD}.__getitem__)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("recording"))


@pytest.fixture
def project(settings: Path, tmp_path: Path) -> Project:
    return load_project(settings).model_copy(update={"workdir": tmp_path / "data"})


@pytest.fixture
def lake(project: Project) -> Lake:
    return Lake(project.lake_root)


def row(project: Project, number: int, month: str = "2026-10", **columns: Any) -> dict[str, Any]:
    """A use that was read out exactly."""
    return {
        "query_id": f"u{number:02d}",
        "simulate_run": lineage(project).simulate_run,
        "period": month,
        "dated": True,
        "time": datetime.fromisoformat(f"{month}-05").replace(tzinfo=UTC),
        "customer_id": f"c{number % 2}",
        "weight": 1.0 + number % 3,
        "readout_probability": 1.0,
        "sampled": True,
        "similarity": 0.5,
        "unlike_corpus": False,
        "measurement_nats": -float(number),
        "content_sha256": f"{number:064d}",
        "influence_nats": exact(number).tobytes(),
        "error_nats": None,
        "head_id": None,
        "coordinates": None,
        "content_json": None,
    } | columns


def exact(number: int) -> np.ndarray:
    """Influences of a use, [2, 3]."""
    return np.random.default_rng(number).normal(size=(2, 3)).astype(np.float32)


def predicted(project: Project, number: int, sampled: bool, month: str = "2026-10") -> dict[str, Any]:
    """A use that a head predicted, and that was drawn with probability 1/4."""
    coordinates = np.array([number, 1], np.float32).tobytes()
    columns = {"readout_probability": 0.25, "sampled": sampled, "head_id": "head-1", "coordinates": coordinates}
    influence = {} if sampled else {"influence_nats": None}
    return row(project, number, month) | columns | influence


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), USE)


def totals(lake: Lake, project: Project, month: str = "2026-10") -> np.ndarray:
    """Sums by replicate and source."""
    simulate_run = lineage(project).simulate_run
    with open_tables(lake.root) as connection:
        runs = attribution_runs(connection, simulate_run, month, None)
        return source_sums(connection, simulate_run, month, runs, SOURCES).nats_RGS.sum(1)


def counted(lake: Lake) -> dict[str, int]:
    """Rows that count, by table."""
    with open_tables(lake.root) as connection:
        [(queries, ids)] = connection.execute("select count(*), count(distinct query_id) from queries").fetchall()
        [(influence,)] = connection.execute(
            "select count(*) from influence join queries using (run_id, query_id)"
        ).fetchall()
    assert queries == ids
    return {"queries": queries, "influence": influence}


def test_uses_are_in_the_lake_as_they_were_in_the_outbox(lake: Lake, project: Project) -> None:
    uses = table([row(project, number, f"2026-{10 + number % 2}") for number in range(6)])
    assert record_uses(lake, project, RECORDING, uses) == RecordedUses(6)
    for month, numbers in (("2026-10", (0, 2, 4)), ("2026-11", (1, 3, 5))):
        expected_RS = sum((1.0 + number % 3) * exact(number) for number in numbers)
        np.testing.assert_allclose(totals(lake, project, month), expected_RS, atol=1e-5)
    with open_tables(lake.root) as connection:
        found = connection.execute(
            "select period, origin, weight, customer_id, measurement_nats, simulate_run, content_sha256 "
            "from queries where query_id = 'u03'"
        ).fetchall()
    run = lineage(project).simulate_run
    assert found == [("2026-11", "service", 1.0, "c1", -3.0, run, f"{3:064d}")]


def test_predictions_and_what_was_drawn_make_the_difference_estimator(lake: Lake, project: Project) -> None:
    rows = [predicted(project, number, sampled=number < 3) for number in range(8)] + [row(project, 9)]
    record_uses(lake, project, RECORDING, table(rows))
    expected_RS = exact(9).astype(float)
    for number in range(8):
        weight = 1.0 + number % 3
        guess_RS = np.einsum("k,rks->rs", np.array([number, 1.0]), HEAD.column_RkS)
        expected_RS += weight * guess_RS
        expected_RS += weight / 0.25 * (exact(number) - guess_RS) * (number < 3)
    np.testing.assert_allclose(totals(lake, project), expected_RS, rtol=1e-5, atol=1e-4)


def test_the_same_uses_again_are_the_same_runs(lake: Lake, project: Project) -> None:
    uses = table([predicted(project, number, sampled=number < 3) for number in range(5)])
    record_uses(lake, project, RECORDING, uses)
    names = ("queries", "influence", "predicted")
    before, versions = totals(lake, project), [lake.version(name) for name in names]
    assert record_uses(lake, project, RECORDING, uses) == RecordedUses(5)
    assert [lake.version(name) for name in names] == versions
    np.testing.assert_array_equal(totals(lake, project), before)


class Dying(Lake):
    """A lake whose process dies after some commits."""

    def __init__(self, root: str, commits: int) -> None:
        super().__init__(root)
        self.left = commits

    def append(self, *arguments: Any, **options: Any) -> bool:
        """Commit, unless it is dead; and die after the last."""
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().append(*arguments, **options)


@pytest.mark.parametrize("commits", range(7))
def test_what_was_interrupted_is_completed_and_nothing_doubled(lake: Lake, project: Project, commits: int) -> None:
    """Two months, three tables each: influence, predicted, queries."""
    rows = [predicted(project, n, n % 3 == 0, f"2026-{10 + n % 2}") for n in range(8)]
    rows += [row(project, n, f"2026-{10 + n % 2}") for n in range(8, 12)]
    record_uses(Lake(project.workdir / "other"), project, RECORDING, table(rows))
    dying = Dying(lake.root, commits)
    if commits < 6:
        with pytest.raises(KeyboardInterrupt):
            record_uses(dying, project, RECORDING, table(rows))
    if 0 < commits < 3:
        assert counted_or_none(lake) in (None, {"queries": 0, "influence": 0})  # a use counts as a whole or not
    assert record_uses(lake, project, RECORDING, table(rows)) == RecordedUses(12)
    for month in ("2026-10", "2026-11"):
        expected_RS = totals(Lake(project.workdir / "other"), project, month)
        np.testing.assert_array_equal(totals(lake, project, month), expected_RS)
    assert counted(lake)["queries"] == 12


def counted_or_none(lake: Lake) -> dict[str, int] | None:
    """`counted`; None: there is no table of queries yet."""
    return None if lake.version("queries") is None else counted(lake)


def test_ids_that_another_service_recorded_count_once(lake: Lake, project: Project) -> None:
    record_uses(lake, project, RECORDING, table([row(project, n) for n in range(4)]))
    other = [row(project, 2), row(project, 3, content_sha256="f" * 64), row(project, 4), row(project, 5)]
    assert record_uses(lake, project, RECORDING, table(other)) == RecordedUses(2, 1, ("u03",))
    assert counted(lake) == {"queries": 6, "influence": 36}
    again = record_uses(lake, project, RECORDING, table(other[:2]))
    assert again == RecordedUses(0, 1, ("u03",))


def test_a_use_that_is_sent_again_in_another_month_counts_once(lake: Lake, project: Project) -> None:
    """Without a time of the caller, the month is that of the arrival; with one, another month contradicts."""
    record_uses(lake, project, RECORDING, table([row(project, n, dated=False) for n in range(3)]))
    before = totals(lake, project)
    again = [row(project, 1, "2026-11", dated=False), row(project, 2, "2026-11"), row(project, 3, "2026-11")]
    assert record_uses(lake, project, RECORDING, table(again)) == RecordedUses(1, 1, ("u02",))
    assert counted(lake) == {"queries": 4, "influence": 24}
    np.testing.assert_array_equal(totals(lake, project), before)
    np.testing.assert_allclose(totals(lake, project, "2026-11"), exact(3), atol=1e-6)


def test_interrupted_after_another_service_came_first(lake: Lake, project: Project) -> None:
    """Influence was committed, then another service recorded one of the uses: the rest gets a run of its own."""
    rows = [row(project, n) for n in range(3)]
    with pytest.raises(KeyboardInterrupt):
        record_uses(Dying(lake.root, 1), project, RECORDING, table(rows))
    record_uses(lake, project, RECORDING, table(rows[:1]))
    assert record_uses(lake, project, RECORDING, table(rows)) == RecordedUses(2, 1)
    assert counted(lake) == {"queries": 3, "influence": 18}
    np.testing.assert_allclose(totals(lake, project), sum((1.0 + n) * exact(n) for n in range(3)), atol=1e-5)


def at_once(tasks: Sequence[Callable[[], object]]) -> list[object]:
    """Results of tasks that begin together."""
    results: list[object] = [None] * len(tasks)
    begin = threading.Barrier(len(tasks))

    def work(index: int) -> None:
        begin.wait()
        try:
            results[index] = tasks[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(tasks))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return results


def test_of_recorders_that_race_each_use_is_recorded_by_one(lake: Lake, project: Project) -> None:
    record_uses(lake, project, RECORDING, table([row(project, 99)]))
    overlapping = [table([row(project, n) for n in range(first, first + 4)]) for first in (0, 2, 4)]
    tasks = [lambda uses=uses: record_uses(Lake(lake.root), project, RECORDING, uses) for uses in overlapping]
    found = at_once(tasks)
    assert all(isinstance(each, RecordedUses) for each in found), found
    assert sum(each.new for each in found if isinstance(each, RecordedUses)) == 8
    assert counted(lake) == {"queries": 9, "influence": 54}
    expected_RS = exact(99) + sum((1.0 + n % 3) * exact(n) for n in range(8))
    np.testing.assert_allclose(totals(lake, project), expected_RS, atol=1e-5)


def test_uses_of_another_simulation_are_refused_whole(lake: Lake, project: Project) -> None:
    rows = [row(project, 1), row(project, 2, simulate_run="simulate-other")]
    with pytest.raises(LakeError, match="attributed by simulate-other"):
        record_uses(lake, project, RECORDING, table(rows))
    assert lake.version("queries") is None


def test_a_failed_simulation_has_no_row(lake: Lake, project: Project) -> None:
    influence_RS = exact(1).copy()
    influence_RS[1, 2] = np.nan
    record_uses(lake, project, RECORDING, table([row(project, 1, influence_nats=influence_RS.tobytes())]))
    with open_tables(lake.root) as connection:
        found = connection.execute("select source_id, replicate from influence order by all").fetchall()
    assert ("sports", 1) not in found
    assert len(found) == 5


def test_a_use_is_not_found_under_other_settings(lake: Lake, project: Project) -> None:
    record_uses(lake, project, RECORDING, table([predicted(project, 1, sampled=False)]))
    found = recorded_use(project, "u01")
    assert found is not None
    assert found["sampled"].to_pylist() == [False]
    other = project.training.model_copy(update={"epochs": 3})
    assert recorded_use(project.model_copy(update={"training": other}), "u01") is None
    assert recorded_use(project, "never") is None
