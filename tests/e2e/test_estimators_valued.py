"""Estimators in the place of a simulation, through the whole chain."""

import asyncio
import json
import shutil

import pytest

from tests.projects import WORDS
from tribute.errors import ConfigError
from tribute.serving.attributing.attributor import Attributor
from tribute.serving.schemas import AttributionRequest, Query


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
