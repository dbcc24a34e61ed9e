"""Usage events in the lake: each query counts once, independent of sender, repetition, order and time."""

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.corpus.small import refusal, write_jsonl
from tribute.catalog import ingested_queries, usage_events
from tribute.corpus import usage_queries
from tribute_storage import SCHEMAS, Lake, LakeError, open_tables
from tribute_storage.usage import Ingested, ingest

WINDOW = 17
START = datetime(2026, 10, 5, 12, tzinfo=UTC)
FIELDS = [field for field in SCHEMAS["usage_events"] if field.name not in ("run_id", "period")]


def event(query_id: str, minute: int = 0, content: str = "a", **more: object) -> dict[str, object]:
    defaults = {"customer_id": None, "weight": 1.0, "inclusion_probability": 1.0, "content_json": None}
    when = START + timedelta(minutes=minute)
    return {"query_id": query_id, "time": when, "content_sha256": content} | defaults | more


def events(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=pa.schema(FIELDS))


def usage(lake: Lake) -> list[tuple]:
    names = ", ".join(field.name for field in FIELDS)
    with open_tables(lake.root) as connection:
        return connection.execute(f"SELECT period, {names} FROM usage ORDER BY query_id").fetchall()


def stored(lake: Lake) -> int:
    with open_tables(lake.root) as connection:
        return connection.execute("SELECT count(*) FROM usage_events").fetchall()[0][0]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def lines(folder: Path, *rows: dict[str, object], name: str = "events.jsonl") -> Path:
    defaults = {"text": "some text", "time": START.isoformat()}
    return write_jsonl(folder / name, [defaults | row for row in rows])


def test_new_events_are_counted_by_their_own_month(lake: Lake) -> None:
    found = ingest(lake, events(event("q1"), event("q2", -60 * 24 * 10), event("q3")))
    assert found == Ingested(3, 0, (), {"2026-09": 1, "2026-10": 2}, 0, 1)
    assert [(row[0], row[1]) for row in usage(lake)] == [("2026-10", "q1"), ("2026-09", "q2"), ("2026-10", "q3")]


def test_a_month_begins_and_ends_in_utc(lake: Lake, tmp_path: Path) -> None:
    times = {"q1": "2026-11-01T01:00:00+02:00", "q2": "2026-10-31T20:00:00-05:00"}
    path = lines(tmp_path, *({"query_id": key, "time": time} for key, time in times.items()))
    assert ingest(lake, usage_events(path, WINDOW, False)).periods == {"2026-10": 1, "2026-11": 1}
    assert [row[0] for row in usage(lake)] == ["2026-10", "2026-11"]


@pytest.mark.parametrize(
    ("kept", "dropped"),
    [
        (event("q1", 1, "b"), event("q1", 2, "a")),
        (event("q1", 1, "a"), event("q1", 1, "b")),
        (event("q1", customer_id="acme"), event("q1", customer_id="bolt")),
        (event("q1", customer_id="acme"), event("q1")),
        (event("q1", weight=9.0), event("q1", weight=10.0)),
    ],
    ids=["time", "content", "customer", "no customer", "weight"],
)
def test_of_two_events_the_same_one_counts_in_one_batch_and_in_two(
    tmp_path: Path, kept: dict, dropped: dict
) -> None:
    lakes = [Lake(tmp_path / str(number)) for number in range(3)]
    ingest(lakes[0], events(kept, dropped))
    for each in (kept, dropped):
        ingest(lakes[1], events(each))
    for each in (dropped, kept):
        ingest(lakes[2], events(each))
    expected = [("2026-10", *(kept[field.name] for field in FIELDS))]
    assert [usage(lake) for lake in lakes] == [expected] * 3
    assert [stored(lake) for lake in lakes] == [1, 2, 2]


def test_duplicates_are_counted_within_a_batch_and_against_the_lake(lake: Lake) -> None:
    assert ingest(lake, events(event("q1"), event("q1", 5), event("q2"))).duplicates == 1
    found = ingest(lake, events(event("q2", 7), event("q3"), event("q3", 1)))
    assert (found.events, found.duplicates, found.periods, found.conflicts) == (3, 2, {"2026-10": 1}, ())


def test_conflicts_are_ids_with_more_than_one_content(lake: Lake) -> None:
    assert ingest(lake, events(event("q1"), event("q1", 1, "b"), event("q2"))).conflicts == ("q1",)
    assert ingest(lake, events(event("q2", 0, "b"), event("q3"), event("q3", 2))).conflicts == ("q2",)


def test_ids_with_events_in_two_months_are_said(lake: Lake) -> None:
    assert ingest(lake, events(event("q1"), event("q2"), event("q2", 1))).in_two_months == ()
    month = 60 * 24 * 31
    found = ingest(lake, events(event("q1", month), event("q3"), event("q3", month), event("q2")))
    assert found.in_two_months == ("q1", "q3")


def test_late_events_land_in_their_own_month(lake: Lake) -> None:
    month = 60 * 24 * 31
    assert ingest(lake, events(event("q1"), event("q0", -month))).late == 0
    found = ingest(lake, events(event("q2", -month), event("q3"), event("q4", month)))
    assert (found.late, found.periods) == (1, {"2026-09": 1, "2026-10": 1, "2026-11": 1})
    assert ingest(lake, events(event("q2", -month))).late == 0


def test_a_batch_sent_again_in_another_order_is_committed_once(lake: Lake) -> None:
    rows = [event(f"q{number}", number) for number in range(10)]
    assert ingest(lake, events(*rows), batch=4).batches == 3
    again = ingest(lake, events(*reversed(rows)), batch=4)
    assert (again.batches, again.duplicates, again.periods) == (0, 10, {})
    assert stored(lake) == len(usage(lake)) == 10


def test_a_death_between_two_commits_is_made_good_by_sending_again(lake: Lake) -> None:
    rows = events(*(event(f"q{number}") for number in range(10)))

    def die(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(lake, rows, 4, die)
    assert stored(lake) == 4
    assert ingest(lake, rows, 4) == Ingested(10, 4, (), {"2026-10": 6}, 0, 2)


def test_no_events_are_no_commit(lake: Lake) -> None:
    assert ingest(lake, events()) == Ingested()
    assert lake.version("usage_events") is None


def test_columns_that_do_not_fit_are_refused_before_anything_is_committed(lake: Lake) -> None:
    with pytest.raises(LakeError, match="weight"):
        ingest(lake, events(event("q1")).set_column(3, "weight", pa.array([1], pa.int64())))
    assert lake.version("usage_events") is None


EVENT = st.builds(
    lambda number, minute, content, customer, weight: event(
        f"q{number}", minute, content, customer_id=customer, weight=weight
    ),
    st.integers(0, 5),
    st.sampled_from([-60 * 24 * 31, 0, 1]),
    st.sampled_from("ab"),
    st.sampled_from([None, "acme", "Ümlaut"]),
    st.sampled_from([0.0, 1.0]),
)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.lists(EVENT, min_size=1, max_size=12))
def test_no_partition_and_no_order_of_the_events_changes_the_table(data: st.DataObject, rows: list[dict]) -> None:
    """The oracle is a dictionary: of each id the first event by the rule."""
    first, rule = {}, ("time", "content_sha256", "customer_id", "weight")
    for row in sorted(rows, key=lambda row: [(row[name] is None, row[name]) for name in rule], reverse=True):
        first[row["query_id"]] = row
    expected = [
        (f"{row['time']:%Y-%m}", *(row[field.name] for field in FIELDS)) for _, row in sorted(first.items())
    ]
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=2)) | {0, len(rows)})
    resent = data.draw(st.integers(0, 1))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        parts = [shuffled[begin:end] for begin, end in pairwise(cuts)]
        found = [ingest(lake, events(*part), batch=data.draw(st.integers(1, 12))) for part in parts * (1 + resent)]
        assert usage(lake) == expected
    total = sum(found, Ingested())
    assert sum(total.periods.values()) == len(first)
    assert total.duplicates == total.events - len(first)


def send(root: str, number: int) -> int:
    """One of four processes: three quarters of its events are also another's, and it sends them all twice."""
    ids = range(number * 50, number * 50 + 200)
    rows = events(*(event(f"q{each:04d}", each % 7, customer_id=str(each)) for each in ids))
    return sum(ingest(Lake(root), rows, batch).batches for batch in (50, 80))


def test_four_processes_at_once_lose_nothing_and_double_nothing(lake: Lake) -> None:
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        commits = list(pool.map(send, [lake.root] * 4, range(4)))
    found = usage(lake)
    assert [row[1] for row in found] == [f"q{each:04d}" for each in range(350)]
    assert [row[3] for row in found] == [str(each) for each in range(350)]
    assert lake.version("usage_events") == sum(commits) - 1


ASKED = (
    {"query_id": "q2", "text": 'say "grüß dich"', "weight": 2.5, "customer_id": "acme"},
    {"query_id": "q1", "text": "a longer text than one window holds", "time": "2026-10-31T23:59:59.999999Z"},
    {"query_id": "q3", "text": "of another month", "time": "2026-11-01T00:00:00Z"},
    {"query_id": "q4", "text": "asked at midnight", "time": "2026-10-01T02:00:00+02:00"},
)


def same(found: object, expected: object) -> bool:
    rows = [table.rows.items() for table in (found, expected)]
    bits = [{name: (v.dtype, v.shape, v.tobytes()) for name, v in each} for each in rows]
    return found.sha256 == expected.sha256 and bits[0] == bits[1]


def test_the_queries_of_a_month_are_those_of_a_file_bit_for_bit(lake: Lake, tmp_path: Path) -> None:
    path = lines(tmp_path, *ASKED)
    ingest(lake, usage_events(path, WINDOW, True), batch=1)
    first, after = datetime(2026, 10, 1).date(), datetime(2026, 11, 1).date()
    found = ingested_queries(lake.root, "2026-10", WINDOW)
    assert found.query_ids == ("q1", "q2", "q4")
    assert same(found, usage_queries(path, WINDOW).within(first, after))


def test_vectors_come_back_bit_for_bit(lake: Lake, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, 3)) * 10.0 ** rng.integers(-30, 30, (20, 1))
    rows = [
        {"query_id": f"q{n:02d}", "features": vector.tolist(), "label": n, "time": START.isoformat()}
        for n, vector in enumerate(vectors)
    ]
    path = write_jsonl(tmp_path / "events.jsonl", rows)
    ingest(lake, usage_events(path, None, True))
    assert same(ingested_queries(lake.root, "2026-10", None), usage_queries(path, None))


def test_a_month_without_events_is_empty(lake: Lake) -> None:
    assert ingested_queries(lake.root, "2026-10", WINDOW).query_ids == ()
    assert ingested_queries(lake.root, "2026-10", None).query_ids == ()


def test_content_is_in_the_lake_only_if_it_is_to_be_kept(lake: Lake, tmp_path: Path) -> None:
    path = lines(tmp_path, {"query_id": "q1", "text": "a secret"})
    ingest(lake, usage_events(path, WINDOW, False))
    assert [row[-1] for row in usage(lake)] == [None]
    folder = Path(lake.root)
    assert not any(b"a secret" in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert "1 of 1 queries of 2026-10, such as 'q1', were ingested without their text" in refusal(
        lambda: ingested_queries(lake.root, "2026-10", WINDOW)
    )
    ingest(lake, usage_events(path, WINDOW, True))
    assert same(ingested_queries(lake.root, "2026-10", WINDOW), usage_queries(path, WINDOW))


def test_content_that_was_changed_in_the_lake_is_refused(lake: Lake) -> None:
    ingest(lake, events(event("q1", content_json='{"text":"not what was hashed"}')))
    assert "content of query 'q1' of 2026-10" in refusal(lambda: ingested_queries(lake.root, "2026-10", WINDOW))


@pytest.mark.parametrize(
    ("column", "value"),
    [("time", None), ("time", "2026-10-05T12:00:00"), ("query_id", "\ud800"), ("weight", 10**400), ("text", "")],
)
def test_a_bad_event_is_told_by_file_row_and_column(tmp_path: Path, column: str, value: object) -> None:
    path = lines(tmp_path, {"query_id": "q1"}, {"query_id": "q2"} | {column: value})
    assert refusal(lambda: usage_events(path, WINDOW, True)).startswith(f"{path}, row 2: column {column!r} ")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone.jsonl"
    assert refusal(lambda: usage_events(path, WINDOW, True)).startswith(f"{path} cannot be read: No such file")


def test_prompts_are_kept_and_are_a_part_of_the_content(tmp_path: Path, lake: Lake) -> None:
    rows = [{"query_id": "q1", "prompt": "2 + 2 = ", "text": "4"}, {"query_id": "q2"}, {"query_id": "q3"}]
    path = lines(tmp_path, *rows)
    ingest(lake, usage_events(path, WINDOW, True))
    found = ingested_queries(lake.root, "2026-10", WINDOW)
    assert same(found, usage_queries(path, WINDOW))
    assert found.rows["target"].sum(1)[0] == 1
    other = lines(tmp_path, rows[0] | {"prompt": "1 + 3 = "}, name="other.jsonl")
    assert ingest(lake, usage_events(other, WINDOW, True)).conflicts
