"""Any sequence of staging, committing, retrying and crashing leaves what an in-memory model says."""

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake, StagedFile, query

RUNS = st.sampled_from(["r1", "r2", "it's"])
IDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("stage"), RUNS, IDS),
    st.tuples(st.just("commit"), RUNS, st.just([])),
    st.tuples(st.just("append"), RUNS, IDS),
    st.tuples(st.just("crash"), RUNS, st.just([])),
)


class Model:
    """What the lake should hold: rows per committed run, and files that wait or are lost."""

    def __init__(self) -> None:
        self.committed: dict[str, list[str]] = {}
        self.waiting: dict[str, list[tuple[StagedFile, list[str]]]] = {}
        self.written = 0
        self.named = 0

    def commit(self, run_id: str, files: int, ids: list[str]) -> bool:
        if run_id in self.committed:
            return False
        self.committed[run_id] = ids
        self.named += files
        return True


def step(lake: Lake, model: Model, action: str, run_id: str, ids: list[str]) -> None:
    if action == "stage":
        staged = lake.stage("publishers", publisher_rows(run_id, ids))
        model.waiting.setdefault(run_id, []).append((staged, ids))
        model.written += 1
    elif action == "commit":
        waiting = model.waiting.get(run_id, [])
        rows = [each for _, staged_ids in waiting for each in staged_ids]
        done = lake.commit("publishers", run_id, [staged for staged, _ in waiting])
        assert done == model.commit(run_id, len(waiting), rows)
    elif action == "append":
        fresh = run_id not in model.committed
        assert lake.append("publishers", run_id, publisher_rows(run_id, ids)) == fresh
        model.written += fresh
        model.commit(run_id, 1, ids)
    else:
        model.waiting.pop(run_id, None)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=10))
def test_the_lake_holds_what_the_model_holds(steps: list[tuple[str, str, list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake, model = Lake(folder), Model()
        for action, run_id, ids in steps:
            step(lake, model, action, run_id, ids)
            assert lake.version("publishers") == (len(model.committed) - 1 if model.committed else None)
        rows = query(folder, "SELECT run_id, publisher_id FROM publishers").to_pylist()
        expected = sorted((run_id, each) for run_id, ids in model.committed.items() for each in ids)
        assert sorted((row["run_id"], row["publisher_id"]) for row in rows) == expected
        assert len(lake.orphans()) == model.written - model.named
