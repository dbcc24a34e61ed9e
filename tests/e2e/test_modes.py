"""Every mode of simulation through the whole chain: the lake holds what the settings ask for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.e2e.cliff_task import ANCHOR, OTHERS, write_examples
from tests.e2e.conftest import PERIOD
from tests.e2e.modes import SGD, TOTALS, Finished, simulation, valued
from tests.projects import WORDS, write_corpus, write_project
from tribute.catalog import corpus_tokens, period_queries, recorded_replicates
from tribute.catalog.period import coalition_errors
from tribute.catalog.sums import source_sums
from tribute.config import Project
from tribute.files.tensors import read_tensors
from tribute.readout import QueryRows
from tribute.tasks import build_task, joined
from tribute_storage import open_tables


@pytest.mark.parametrize(
    ("notion", "coalitions"), [("banzhaf", 8), pytest.param("shapley", 40, marks=pytest.mark.slow)]
)
def test_semivalues_are_valued_from_coalitions(vary, notion: str, coalitions: int) -> None:
    several = {"notion": notion, "coalitions": coalitions, "chunk": 20, "smoothness_sources": 0}
    found = vary(simulation=simulation(**several))
    assert found.new == ["simulate", "attribute", "value"]  # semivalues learn from no training
    assert found.rows("select distinct notion from valuations where run_id = $value") == [(notion,)]
    assert found.paid_in_full()
    assert found.note()["trainings"] == []
    [(units, rows)] = found.rows(
        "select count(distinct unit_id), count(*) from simulations where run_id = $simulate"
    )
    exact = coalitions >= 2**4  # every set of the four sources once, but the one that lacks none
    assert (units, rows) == (2**4 - 1 if exact else coalitions, 2 * units)
    [(least, count)] = found.rows("select min(std_error_nats), count(*) from influence where run_id = $attribute")
    assert least == 0 if exact else least > 0
    assert count == 4 * 2 * 12
    parts_PS, bound_PS = sampling_errors(found)
    assert len(parts_PS) == (0 if exact else coalitions // 2)
    if notion == "banzhaf":
        error_S = np.sqrt(np.square(parts_PS).sum(0))
        np.testing.assert_allclose(error_S, error_of_pairs(found), rtol=1e-6)
        assert (bound_PS.sum(0) > error_S).all()
    if notion == "shapley":
        summed = found.rows(
            "select sum(influence_nats::double) from influence where run_id = $attribute "
            "group by replicate, query_id order by replicate, query_id"
        )
        nothing = np.concatenate([influence_of(found, "all-sources", replicate) for replicate in range(2)])
        assert np.abs(nothing).max() > 0.1
        np.testing.assert_allclose([nats for (nats,) in summed], nothing, rtol=1e-4, atol=1e-4)


def sampling_errors(found: Finished) -> list[np.ndarray]:
    """Errors of the month's sums from sampled coalitions, by its own batch, and without any batch."""
    lake, (names, _), run = found.project.lake_root, corpus_tokens(found.project), found.runs["attribute"]
    with open_tables(lake) as connection:
        sums = source_sums(connection, found.runs["simulate"], PERIOD, [run], names)
        return [coalition_errors(connection, found.project, batch, sums, [run]) for batch in (run, None)]


def error_of_pairs(found: Finished) -> np.ndarray:
    """Standard error of a mean of half of the pairs, from the totals of the coalitions themselves, [S]."""
    order = "where run_id = {} group by unit_id order by unit_id"
    nats_P2 = np.array(found.rows(f"select avg(nats) from estimates {order.format('$attribute')}")).reshape(-1, 2)
    removed = found.rows(f"select any_value(removed) from simulations {order.format('$simulate')}")[::2]
    lacks_PS = np.array([[name in names for name in corpus_tokens(found.project)[0]] for (names,) in removed])
    each_PS = (nats_P2[:, 1:] - nats_P2[:, :1]) * np.where(lacks_PS, -1, 1)
    return np.sqrt((1 - 1 / 2) * each_PS.var(0, ddof=1) / len(each_PS))


def influence_of(found: Finished, unit_id: str, replicate: int) -> np.ndarray:
    """f(theta; q) - f(theta - response; q) of every query, from the files themselves, [Q] by query id."""
    task, queries = build_task(found.project.task), QueryRows.of(period_queries(found.project, PERIOD))
    theta_P = recorded_replicates(found.project)[replicate].final()
    [(uri,)] = found.rows(
        f"select artifact_uri from simulations where run_id = $simulate and unit_id = '{unit_id}' "
        f"and replicate = {replicate}"
    )
    response_P = joined(read_tensors(found.project.workdir / uri))
    rows = {name: torch.from_numpy(np.array(column)) for name, column in queries.columns.items()}
    with torch.no_grad():
        nats_N = task.measure(theta_P, rows).double() - task.measure(theta_P - response_P, rows).double()
    nats_Q = np.bincount(queries.query_N, weights=nats_N.numpy())
    return nats_Q[np.argsort(queries.query_ids)]


@pytest.mark.usefixtures("ray_cluster")
def test_members_of_a_group_divide_its_influence(tmp_path: Path) -> None:
    path = write_project(
        tmp_path, simulation=simulation(groups=3), rights={}, training={"batch_size": 8, "replicates": 2}
    )
    names = [f"{kind}-{number}" for kind in WORDS for number in (1, 2)]
    write_corpus(tmp_path / "corpus.jsonl", {name: 3 for name in names})
    found = valued(path)
    units = {
        unit: removed
        for unit, removed in found.rows("select unit_id, removed from simulations where run_id = $simulate")
    }
    assert 1 < len(units) <= 3
    assert sorted(source for removed in units.values() for source in removed) == sorted(names)
    [(simulated,)] = found.rows(
        "select count(distinct unit_id) from simulations where run_id = $simulate and smoothness is not null"
    )
    assert simulated == 2
    totals = {(source, replicate): nats for source, replicate, nats in found.rows(TOTALS)}
    assert {source for source, _ in totals} == set(names)
    estimates = found.rows(
        "select unit_id, replicate, nats from estimates where run_id = $attribute and name = 'simulated'"
    )
    assert {(unit, replicate) for unit, replicate, _ in estimates} == {(u, r) for u in units for r in (0, 1)}
    for unit, replicate, nats in estimates:
        assert sum(totals[source, replicate] for source in units[unit]) == pytest.approx(nats, rel=1e-4, abs=1e-4)
    assert found.paid_in_full()


def test_a_narrow_scope_moves_only_its_own_parameters(vary, finished: Project) -> None:
    found = vary(simulation=simulation(scope="head"))
    assert found.new == [
        "simulate",
        "attribute",
        "retrain",
        "value",
    ]  # though the folder has moved
    responses = found.rows("select artifact_uri from simulations where run_id = $simulate")
    sizes = [joined(read_tensors(found.project.workdir / uri)).shape for (uri,) in responses]
    assert sizes == [(2 * 16,)] * 8  # weight and bias of the last normalisation
    with open_tables(finished.lake_root) as lake:
        whole = {row[:2]: row[2] for row in lake.execute(WHOLE).fetchall()}
    narrow = {row[:2]: row[2] for row in found.rows(TOTALS)}
    assert narrow.keys() == whole.keys()
    assert max(abs(nats) for nats in narrow.values()) > 0
    assert all(abs(narrow[each] - whole[each]) > 0.1 * abs(whole[each]) for each in whole)


WHOLE = (
    "select source_id, replicate, sum(weight / inclusion_probability * influence_nats::double) from influence "
    f"join queries using (run_id, query_id) where period = '{PERIOD}' group by all"
)


@pytest.mark.slow
def test_tangents_beside_other_estimates_are_weighed_by_real_trainings(vary) -> None:
    found = vary(
        simulation=simulation(mode="tangent"),
        valuation={"budget": 3, "estimates": [{"mode": "paired"}, {"horizon": 0.6}]},
    )
    counted = found.rows(
        "select name, count(*) from estimates where run_id = $attribute group by name order by name"
    )
    assert counted == [("estimate 0", 8), ("estimate 1", 8), ("simulated", 8)]
    smooth = found.rows(
        "select unit_id, smoothness from simulations where run_id = $simulate and smoothness is not null"
    )
    assert {unit for unit, _ in smooth} == {"daily", "recipes"}  # the two with most tokens
    assert len(smooth) == 4
    assert all(value > 0 for _, value in smooth)
    rough = np.mean([value for _, value in smooth]) > 0.5
    assert any("too rough" in warning for warning in found.warnings) == rough
    longer = found.rows("select max(horizon_steps) from simulations where mode = 'tangent' and horizon = 0.6")
    [(steps,)] = found.rows("select max(horizon_steps) from simulations where run_id = $simulate")
    assert longer[0][0] > steps
    note = found.note()
    assert len(note["trainings"]) == 3
    assert {"simulated", "estimate 0", "estimate 1", "tokens"} <= note["coefficients"].keys()
    assert found.paid_in_full()


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.slow
def test_a_source_that_explodes_is_named_and_everybody_is_paid(tmp_path: Path) -> None:
    sections = {
        "corpus": {"kind": "arrays", "path": "examples.parquet"},
        "rights": {},
        "task": {"name": "tests.e2e.cliff_task:Cliff"},
        "training": SGD
        | {"learning_rate": 0.2, "momentum": 0.0, "batch_size": 20, "epochs": 9, "schedule": "constant"},
        "simulation": {"horizon": 1.0, "smoothness_sources": 2},
        "queries": {"kind": "held_out", "per_source": 4},
    }
    for budget in (0, 5):
        path = write_project(tmp_path / str(budget), **sections, valuation={"budget": budget})
        write_examples(path.parent / "examples.parquet")
        found = valued(path)
        failed = found.rows(
            "select unit_id, replicate, failed_step, artifact_uri, response_norm from simulations "
            "where run_id = $simulate and failed_step is not null order by all"
        )
        assert [row[:2] for row in failed] == [(ANCHOR, 0), (ANCHOR, 1)]
        assert [row[3:] for row in failed] == [(None, None)] * 2
        [warning] = [each for each in found.warnings if "simulations diverged" in each]
        assert f"{ANCHOR} (replicate 0, step {failed[0][2]})" in warning
        assert not any(other in warning for other in OTHERS)
        valued_sources = found.rows(
            "select distinct source_id from influence where run_id = $attribute order by all"
        )
        assert valued_sources == [(source,) for source in OTHERS]
        assert bool(found.note()["trainings"]) is (budget > 0)
        assert found.paid_in_full()
        paid = found.rows("select publisher_id from valuations where run_id = $value and level = 'publisher'")
        assert {publisher for (publisher,) in paid} == {ANCHOR, *OTHERS}
