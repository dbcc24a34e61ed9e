"""A month of queries read out by sample: totals near the exact ones, recorded probabilities, honest values."""

import json

import numpy as np
import pytest

from tests.e2e.conftest import PERIOD
from tests.projects import WORDS, article, write_project
from tribute.config import Project, load_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_jobs.service.views.query import NOT_DRAWN, query_view
from tribute_storage import open_tables

USES = 900


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Project:  # noqa: ARG001
    """Exact and sampled read-outs of one month in one lake."""
    path = write_project(tmp_path_factory.mktemp("distilled"))
    rows = [
        {
            "query_id": f"q{number:04d}",
            "text": article(list(WORDS)[number % 4], 2000 + number, sentences=1 + number % 2),
            "time": f"{PERIOD}-05T12:00:00+00:00",
            "weight": 1 + number % 3,
        }
        for number in range(USES)
    ]
    (path.parent / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(load_project(path), PERIOD, JsonReporter(), last="value")
    return load_project(path)


def sampled(project: Project, **readout: object) -> Project:
    changed = project.readout.model_copy(update={"precision": 0.2, **readout})
    return project.model_copy(update={"readout": changed})


def totals(project: Project, name: str) -> dict[str, np.ndarray]:
    """Totals per unit over replicates, [R]."""
    run_id = attribute_run(project)
    with open_tables(project.lake_root) as lake:
        rows = lake.execute(
            "select unit_id, list(nats order by replicate) from estimates where name = $1 and run_id = $2 "
            "group by unit_id",
            [name, run_id],
        ).fetchall()
    return {unit: np.array(nats) for unit, nats in rows}


def means(totals: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean over replicates."""
    return {unit: float(nats.mean()) for unit, nats in totals.items()}


def attribute_run(project: Project) -> str:
    return run(project, PERIOD, JsonReporter(), last="attribute").outputs["attribute"].run_id


@pytest.mark.slow
def test_a_sample_tells_the_totals_of_all_queries(project: Project) -> None:
    exact, estimated = totals(project, "simulated"), totals(sampled(project), "simulated")
    assert exact.keys() == estimated.keys()
    worth = sum(max(nats.mean(), 0) for nats in exact.values())
    for unit, nats in exact.items():
        assert abs(estimated[unit].mean() - nats.mean()) < 2 * 0.2 * worth  # twice half a 95% interval
        assert estimated[unit].mean() != nats.mean()


def test_the_lake_says_which_queries_were_read_out_and_how_likely_that_was(project: Project) -> None:
    run_id = attribute_run(sampled(project))
    with open_tables(project.lake_root) as lake:
        [(count, chance)] = lake.execute(
            "select count(*), any_value(readout_probability) from queries where run_id = $1", [run_id]
        ).fetchall()
        [(read,)] = lake.execute(
            "select count(distinct query_id) from influence where run_id = $1", [run_id]
        ).fetchall()
        [(expanded, sources)] = lake.execute(
            "select sum(weight / readout_probability), count(distinct source_id) from queries "
            "join influence using (run_id, query_id) where run_id = $1 and replicate = 0",
            [run_id],
        ).fetchall()
    assert count == USES and 0 < chance < 0.5
    assert read == pytest.approx(chance * USES)
    assert expanded / sources == pytest.approx(2 * USES, rel=0.15)  # the sample's weights, expanded to all


def test_the_page_of_a_query_says_whether_it_was_read_out(project: Project) -> None:
    run_id = attribute_run(sampled(project))
    with open_tables(project.lake_root) as lake:
        rows = lake.execute(
            "select query_id, count(source_id) from queries left join influence using (run_id, query_id) "
            "where run_id = $1 group by 1 order by 2 desc",
            [run_id],
        ).fetchall()
    drawn, left = (query_view(project, query_id, passages=0) for query_id in (rows[0][0], rows[-1][0]))
    assert drawn.attribute_run == left.attribute_run == run_id
    assert (drawn.readout, drawn.note, len(drawn.sources)) == ("exact", "", len(WORDS))
    assert (left.readout, left.note, left.sources) == ("distilled", NOT_DRAWN, ())
    assert left.readout_probability < 1 and left.uses == 1 + int(left.query_id[1:]) % 3


def test_the_period_is_valued_by_the_difference_estimator(project: Project) -> None:
    month = sampled(project)
    value_run = run(month, PERIOD, JsonReporter(), last="value").outputs["value"].run_id
    with open_tables(project.lake_root) as lake:
        found = dict(
            lake.execute(
                "select source_id, sum(attribution_nats) from valuations where run_id = $1 and level = 'line' "
                "group by source_id",
                [value_run],
            ).fetchall()
        )
    exact, drawn = totals(project, "simulated"), totals(month, "simulated")
    wrong, wrong_drawn = (sum(abs(each[u] - exact[u].mean()) for u in exact) for each in (found, means(drawn)))
    assert 0 < wrong < wrong_drawn, "predictions of all queries correct the sample's sums"


@pytest.mark.slow
def test_a_finer_precision_reads_out_more_and_a_very_fine_one_all(project: Project) -> None:
    chances = []
    for precision in (0.2, 0.1, 0.001):
        run_id = attribute_run(sampled(project, precision=precision))
        with open_tables(project.lake_root) as lake:
            [(chance,)] = lake.execute(
                "select distinct readout_probability from queries where run_id = $1", [run_id]
            ).fetchall()
        chances.append(chance)
    assert chances[0] <= chances[1] <= chances[2] == 1.0
    exact, fine = totals(project, "simulated"), totals(sampled(project, precision=0.001), "simulated")
    assert all(np.array_equal(exact[unit], fine[unit]) for unit in exact)
