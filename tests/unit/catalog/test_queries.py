"""The queries of a period: every use has a month, and one id in two months is said."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.projects import write_project, write_usage
from tribute.catalog import lineage, months_with_queries, period_queries, pilot_queries, used_before
from tribute.config import Project, load_project
from tribute.corpus.snapshot import write_snapshot
from tribute.corpus.sources import Corpus, Source, SourceExamples
from tribute.errors import CorpusError
from tribute_jobs.checks.content import empty_month
from tribute_storage import SCHEMAS, Lake


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_project(tmp_path))


def rewrite(project: Project, **changes: object) -> None:
    """The usage file with changed cells in its last row."""
    path = project.workdir.parent / "usage.jsonl"
    rows = write_usage(path, "2026-10", uses=4)
    rows[-1] |= changes
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def attributed(project: Project, period: str, *query_ids: str) -> None:
    moment = datetime.fromisoformat(f"{period}-02").replace(tzinfo=UTC)
    row = {"run_id": f"attribute-{period}", "simulate_run": "simulate-1", "period": period, "origin": "batch"}
    row |= {"time": moment, "customer_id": None, "weight": 1.0, "inclusion_probability": 1.0, "similarity": 1.0}
    row |= {"readout_probability": 1.0, "unlike_corpus": False, "measurement_nats": 0.0, "content_sha256": "0"}
    rows = pa.Table.from_pylist([row | {"query_id": each} for each in query_ids], SCHEMAS["queries"])
    Lake(project.lake_root).append("queries", f"attribute-{period}", rows)


def test_a_use_without_a_time_is_of_no_month_and_refused(project: Project) -> None:
    rewrite(project, time=None)
    for asked in (lambda: period_queries(project, "2026-10"), lambda: months_with_queries(project)):
        with pytest.raises(CorpusError, match=r"1 of 4 queries, such as 'q003', have no time.*Add a column time"):
            asked()


def test_a_row_that_declares_its_period_needs_no_time(project: Project) -> None:
    rewrite(project, time=None, period="2026-11")
    assert period_queries(project, "2026-10").query_ids == ("q000", "q001", "q002")
    assert period_queries(project, "2026-11").query_ids == ("q003",)
    assert months_with_queries(project) == ["2026-10", "2026-11"]


def test_an_id_that_another_month_has_is_found(project: Project) -> None:
    queries = period_queries(project, "2026-10")
    assert used_before(project, queries, "2026-10") == {}
    attributed(project, "2026-09", "q001", "q003", "other")
    attributed(project, "2026-10", "q000")
    assert used_before(project, queries, "2026-10") == {"2026-09": ["q001", "q003"]}


def test_held_out_text_repeats_its_ids_in_every_month(tmp_path: Path, project: Project) -> None:
    queries = period_queries(project, "2026-10")
    held_out = load_project(write_project(tmp_path, queries={"kind": "held_out"}))
    attributed(held_out, "2026-09", *queries.query_ids)
    assert used_before(held_out, queries, "2026-10") == {}


def test_an_empty_month_names_other_months_only(project: Project) -> None:
    (project.workdir.parent / "usage.jsonl").write_text("")
    assert "No queries in 2026-10: every value is 0. There are none in any other month" in empty_month(
        project, "2026-10"
    )
    attributed(project, "2026-10", "q000")
    attributed(project, "2026-09", "q000")
    assert "every value is 0. There are some in 2026-09." in empty_month(project, "2026-10")


def snapshot(project: Project, held_out: list[int]) -> None:
    """A corpus of three sources with 40 rows of training each, and so many held out."""
    sources = []
    for name, count in zip("abc", held_out, strict=True):
        train, rest = (
            {"features": np.arange(n, dtype=np.float32)[:, None] + add, "labels": np.arange(n)}
            for n, add in ((40, 0), (count, 100))
        )
        sources.append(SourceExamples(Source(name, name, name), train, rest, ()))
    write_snapshot(Corpus(tuple(sources), {}), project.artifacts / lineage(project).corpus_run)


@pytest.mark.parametrize(
    ("held_out", "most", "expected"),
    [
        ([2, 9, 30], 20, {"a": 2, "b": 9, "c": 9}),
        ([1, 3, 2], 6, {"a": 1, "b": 3, "c": 2}),
        ([30, 30, 30], 2, {"a": 1, "c": 1}),
        ([1, 0, 0], 30, {"a": 10, "b": 10, "c": 10}),
    ],
)
def test_a_pilot_is_spread_over_the_sources(
    project: Project, held_out: list[int], most: int, expected: dict[str, int]
) -> None:
    snapshot(project, held_out)
    pilot = pilot_queries(project, most)
    assert Counter(name.split("/")[0] for name in pilot.query_ids) == expected
    assert (pilot.rows["features"] >= 100).all() == (sum(held_out) > most / 2)
