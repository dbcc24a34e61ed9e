"""Every mode of simulation through the whole chain: the lake holds what the settings ask for."""

import asyncio
import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from tests.e2e.cliff_task import ANCHOR, OTHERS, write_examples
from tests.e2e.conftest import PERIOD
from tests.projects import RETRAINED, WORDS, settings, write_corpus, write_project
from tribute.catalog import corpus_tokens, period_queries, recorded_replicates
from tribute.catalog.period import coalition_errors
from tribute.catalog.sums import source_sums
from tribute.config import Project, load_project
from tribute.errors import ConfigError
from tribute.files.tensors import read_tensors
from tribute.readout import QueryRows
from tribute.serving.attributing.attributor import Attributor
from tribute.serving.schemas import AttributionRequest, Query
from tribute.tasks import build_task, joined
from tribute.training import Recorder, Trajectory, training_set
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

SGD = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "batch_size": 8, "epochs": 2, "replicates": 2}


class Listener(JsonReporter):
    """A reporter that keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warned(self, message: str) -> None:
        self.warnings.append(message)


class Finished(NamedTuple):
    """A project that was run up to `value`."""

    project: Project
    runs: dict[str, str]
    new: list[str]
    warnings: list[str]

    def rows(self, query: str) -> list[tuple]:
        """Rows of a query that names runs as $train, $simulate, $attribute and $value."""
        named = {stage: run_id for stage, run_id in self.runs.items() if f"${stage}" in query}
        with open_tables(self.project.lake_root) as lake:
            return lake.execute(query, named).fetchall()

    def paid_in_full(self) -> bool:
        """Whether publishers' shares, and those of their lines, sum to 1 and nobody is missing."""
        rows = self.rows("select level, share, value_nats from valuations where run_id = $value")
        sums = [
            sum(Fraction(share) for level, share, _ in rows if level == each) for each in ("publisher", "line")
        ]
        return sums == [1, 1] and all(np.isfinite(value) for _, _, value in rows)

    def note(self) -> dict:
        """What the values rest on."""
        [(note,)] = self.rows("select distinct calibration from valuations where run_id = $value")
        return json.loads(note)


def valued(path: Path) -> Finished:
    """Run a project up to `value`."""
    project, listener = load_project(path), Listener()
    outputs = run(project, PERIOD, listener, "value").outputs
    runs = {stage: output.run_id for stage, output in outputs.items()}
    return Finished(project, runs, [stage for stage, output in outputs.items() if output.new], listener.warnings)


@pytest.fixture
def vary(finished_folder: Path, tmp_path: Path) -> Callable[..., Finished]:
    """The finished project under other settings: its corpus and training are kept, as the settings allow."""

    def varied(**sections: object) -> Finished:
        folder = tmp_path / "press"
        shutil.copytree(finished_folder, folder, dirs_exist_ok=True)
        (folder / "project.yaml").write_text(yaml.safe_dump(settings(**sections)))
        return valued(folder / "project.yaml")

    return varied


def simulation(**changed: object) -> dict:
    return settings()["simulation"] | changed


USES = "(select query_id, weight / inclusion_probability as uses from queries where run_id = $attribute)"
TOTALS = (
    "select source_id, replicate, sum(uses * influence_nats::double) from influence "
    f"join {USES} using (query_id) where run_id = $attribute group by all"
)


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


@pytest.mark.usefixtures("ray_cluster")
def test_a_checkpoint_is_valued_by_going_on_from_it(tmp_path: Path) -> None:
    onward = {"base": "continue", "steps": 6, "damping": 0.1, "learning_rate": 0.05, "checkpoint_every": 4}
    path = write_project(
        tmp_path, training=SGD | {"checkpoint": "model.safetensors"}, simulation=onward | {"smoothness_sources": 0}
    )
    torch.manual_seed(3)
    module = build_task(load_project(path).task).task.build()
    safetensors.torch.save_file(module.state_dict(), tmp_path / "model.safetensors")
    found = valued(path)
    rows = found.rows(
        "select distinct effective_damping, horizon_steps, base, replay_drift from simulations "
        "where run_id = $simulate"
    )
    assert rows == [(pytest.approx(0.1 + (1 - 0.9) / (0.05 * 6)), 6, "continue", None)]
    kept = torch.nn.utils.parameters_to_vector(module.parameters())
    for replicate in recorded_replicates(found.project):
        assert torch.equal(replicate.final(), kept)
    totals = {(source, replicate): nats for source, replicate, nats in found.rows(TOTALS)}
    assert len(totals) == 8
    assert all(totals[source, 0] != totals[source, 1] != 0 for source in WORDS)  # other batches
    assert found.rows("select count(*) from estimates where run_id = $attribute and name <> 'simulated'") == [(0,)]
    assert found.paid_in_full()


def own_loop(project: Project, folder: Path, seed: int) -> torch.Tensor:
    """Plain PyTorch over the project's training set, recorded; the final parameters."""
    torch.manual_seed(seed)
    data, task = training_set(project.corpus), build_task(project.task).task
    module = task.build()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    recorder = Recorder(folder, module, optimizer, every=7)
    order = torch.Generator().manual_seed(seed)
    for _ in range(20):
        indices = torch.randperm(len(data), generator=order)[:8]
        recorder.batch(indices)
        batch, _ = data.batch(indices.numpy(), torch.device("cpu"))
        task.training_loss(module, batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    recorder.close()
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach()


@pytest.mark.usefixtures("ray_cluster")
def test_a_loop_of_the_users_own_is_taken_over_from_its_recordings(tmp_path: Path) -> None:
    recordings = ["mine/seed-0", "mine/seed-1"]
    own = SGD | {"recordings": recordings}
    path = write_project(tmp_path, training=own, simulation=simulation(horizon=0.33), valuation=RETRAINED)
    finals = [own_loop(load_project(path), tmp_path / folder, seed) for seed, folder in enumerate(recordings)]
    found = valued(path)
    replicates = recorded_replicates(found.project)
    assert [replicate.steps for replicate in replicates] == [20, 20]
    for replicate, final_P, folder in zip(replicates, finals, recordings, strict=True):
        torch.testing.assert_close(replicate.final(), final_P, rtol=1e-4, atol=1e-5)
        start_P = joined(Trajectory(tmp_path / folder).load(0).theta)
        assert (replicate.final() - final_P).norm() < 1e-4 * (final_P - start_P).norm()
    [(drift, damping)] = found.rows(
        "select max(replay_drift), any_value(effective_damping) from simulations where run_id = $simulate"
    )
    assert 0 <= drift < 1e-5
    assert damping == pytest.approx((1 - 0.9) / (0.1 * 7))  # a horizon of a third of 20 equal steps
    assert len(found.note()["trainings"]) == 3
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


def test_an_estimator_takes_the_place_of_a_simulation_and_serves_queries(vary) -> None:
    found = vary(
        attribution={"method": "gradient_cosine"},
        simulation={"chunk": 3},
        valuation={"budget": 3, "estimates": [{"mode": "paired"}, {"method": "for_value"}]},
    )
    assert found.new == ["simulate", "attribute", "retrain", "value"]
    gathered = found.rows(
        "select unit_id, artifact_uri from simulations where run_id = $simulate and replicate = 1 order by all"
    )
    assert [unit for unit, _ in gathered] == list(WORDS)
    assert len({uri for _, uri in gathered}) == 2  # in chunks of at most 3
    neutral = found.rows("select distinct scope, horizon, horizon_steps from simulations where run_id = $simulate")
    assert neutral == [("all", 0.0, 0)]
    counted = found.rows(
        "select name, count(*) from estimates where run_id = $attribute group by name order by name"
    )
    assert counted == [("estimate 0", 8), ("estimate 1", 8), ("simulated", 8)]
    assert {"simulated", "estimate 0", "estimate 1", "tokens"} <= found.note()["coefficients"].keys()
    assert found.paid_in_full()
    rows = found.rows(
        "select query_id, source_id, avg(influence_nats::double) from influence where run_id = $attribute "
        "group by all order by all"
    )
    usage = [json.loads(line) for line in (found.project.workdir.parent / "usage.jsonl").read_text().splitlines()]
    asked = [Query(query_id=f"live-{each['query_id']}", text=each["text"]) for each in usage]
    request = AttributionRequest(queries=asked, top_k=None)

    async def attributed() -> list[dict]:
        attributor = Attributor(
            found.project, lambda _: asyncio.sleep(0, 0.0)
        )  # as the service: its requests share one model
        answers = await asyncio.gather(*(attributor.attribute(request) for _ in range(8)))
        return [json.loads(answer.head + b"}")["queries"] for answer in answers]

    queries, *others = asyncio.run(attributed())
    live = {
        (query["query_id"].removeprefix("live-"), each["source_id"]): each["influence_nats"]
        for query in queries
        for each in query["sources"]
    }
    for other in others:
        again = {
            (query["query_id"].removeprefix("live-"), each["source_id"]): each["influence_nats"]
            for query in other
            for each in query["sources"]
        }
        assert again == pytest.approx(live, rel=1e-4, abs=1e-5)
    for query_id, source_id, value in rows:
        assert live[query_id, source_id] == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_an_estimator_that_nobody_knows_is_refused_before_any_work(vary) -> None:
    with pytest.raises(ConfigError, match=r"Estimator .magic. is unknown\. Set attribution\.method"):
        vary(attribution={"method": "magic"}, simulation={})
    with pytest.raises(ConfigError, match="has no option rate"):
        vary(attribution={"method": "for_value", "options": {"rate": 2}}, simulation={})


def test_more_sources_than_groups_are_not_simulated_beside_an_estimator(vary) -> None:
    few = {"attribution": {"method": "gradient_dot"}, "simulation": {"groups": 2}}
    with pytest.raises(ConfigError, match=r"would simulate each of 4 sources.*simulation.groups \(2\) to 4"):
        vary(**few, valuation={"estimates": [{"mode": "paired"}]})


@pytest.mark.slow
def test_gathering_that_was_cut_off_goes_on_from_what_was_fitted(vary) -> None:
    settings = {"attribution": {"method": "ekfac"}, "simulation": {"chunk": 2}, "valuation": {"budget": 0}}
    gathered = "select unit_id, replicate, artifact_sha256 from simulations where run_id = $simulate order by all"
    found = vary(**settings)
    before, folder = found.rows(gathered), found.project.artifacts / found.runs["simulate"]
    fitted = {path: path.stat().st_mtime_ns for path in folder.glob("*/fit*") if path.suffix != ".sha256"}
    assert len(fitted) == 4  # of two replicates, the fit and the mark that it is done
    [lost, *_] = sorted(folder.glob("replicate-1/units-*.json"))
    lost.unlink()
    lost.with_suffix(".safetensors").unlink()
    shutil.rmtree(found.project.lake_root)
    (found.project.workdir / "last_run.json").unlink()
    again = vary(**settings)
    assert "simulate" in again.new
    assert again.rows(gathered) == before
    assert {path: path.stat().st_mtime_ns for path in fitted} == fitted


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
