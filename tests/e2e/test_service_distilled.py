"""The distilled read-out of live uses, in this process without Serve: totals within the precision."""

import asyncio
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.projects import WORDS, article
from tribute.catalog import lineage
from tribute.catalog.sums import attribution_runs, source_sums
from tribute.config import Project, ServingSettings, load_project
from tribute.errors import ValuationError
from tribute.readout import draw_probability
from tribute.readout.distilled import PILOT_QUERIES
from tribute.serving import ServiceEngine, local_engine
from tribute.serving.attributing.distilling import distils
from tribute.serving.attributing.loaded import LoadedModel
from tribute.serving.engine import FoundUse
from tribute.serving.heads import Heads
from tribute.serving.schemas import AttributionRequest
from tribute_jobs.service.views.query import QueryView, query_view
from tribute_storage import LakeError, open_tables
from tribute_storage.outbox import Outbox

MONTH, USES, LAST, PRECISION = "2026-08", 600, 450, 0.1
DISTILLED = {"method": "distilled", "precision": PRECISION}
SOURCES = tuple(sorted(WORDS))


def copied(finished: Project, folder: Path, readout: dict[str, Any], **sections: Any) -> Project:
    """A copy of the finished project, with other settings of what is read out."""
    shutil.copytree(finished.workdir.parent, folder)
    project = load_project(folder / "project.yaml")
    changed = {"readout": project.readout.model_copy(update=readout), **sections}
    return project.model_copy(update=changed)


def requests(uses: int, of: int = 100, month: str = MONTH) -> list[AttributionRequest]:
    """Uses of a month, in requests."""
    queries = [
        {
            "query_id": f"u{number:04d}" if month == MONTH else f"{month}-{number:04d}",
            "text": article(list(WORDS)[number % 4], 5000 + number, 1 + number % 2),
            "time": f"{month}-{1 + number % 28:02d}T12:00:00+00:00",
            "customer_id": f"c{number % 2}",
            "weight": 1 + number % 3,
        }
        for number in range(uses)
    ]
    return [
        AttributionRequest.model_validate({"queries": queries[start : start + of]}) for start in range(0, uses, of)
    ]


async def recorded(engine: ServiceEngine, asked: Sequence[AttributionRequest]) -> list[dict[str, Any]]:
    """The answers."""
    return [query for each in asked for query in orjson.loads(await engine.attribute(each))["queries"]]


async def valued(engine: ServiceEngine) -> Any:
    """A report of the month, at its end."""
    report = await engine.order_report(MONTH)
    while report is not None and report.state in ("queued", "running"):
        await asyncio.sleep(0.05)
        report = await engine.report(report.report_id)
    return report


def totals(project: Project) -> np.ndarray:
    """Means over replicates of the month's sums, by source."""
    run = lineage(project).simulate_run
    with open_tables(project.lake_root) as lake:
        runs = attribution_runs(lake, run, MONTH, None)
        return np.nanmean(source_sums(lake, run, MONTH, runs, SOURCES).nats_RGS.sum(1), 0)


@pytest.fixture(scope="module")
def exact(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Totals with every use read out."""
    project = copied(finished, tmp_path_factory.mktemp("exact") / "press", {"precision": None})

    async def record() -> list[dict[str, Any]]:
        async with local_engine(project) as engine:
            return await recorded(engine, requests(USES))

    assert {query["readout"] for query in asyncio.run(record())} == {"exact"}
    return totals(project)


@pytest.fixture(scope="module")
def learnt(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose head has learnt from an earlier month: all of that was read out exactly."""
    project = copied(finished, tmp_path_factory.mktemp("learnt") / "press", DISTILLED)

    async def learn() -> list[dict[str, Any]]:
        async with local_engine(project) as engine:
            answers = await recorded(engine, requests(PILOT_QUERIES, month="2026-07"))
            while Heads(project).current() is None:
                await asyncio.sleep(0.05)
            return answers

    answers = asyncio.run(learn())
    assert {(query["readout"], query["readout_probability"]) for query in answers} == {("exact", 1.0)}
    return project


@pytest.fixture
def project(learnt: Project, tmp_path: Path) -> Project:
    return copied(learnt, tmp_path / "press", DISTILLED)


@pytest.mark.slow
def test_a_month_predicted_is_the_month_read_out_within_the_precision(project: Project, exact: np.ndarray) -> None:
    async def month() -> tuple[list[dict[str, Any]], Any, list[Any], list[Any]]:
        async with local_engine(project) as engine:
            answers = []
            for request in requests(USES):
                answers += await recorded(engine, [request])
                while sum(state.unread for state in await engine.writers()):  # the head learns meanwhile
                    await asyncio.sleep(0.05)
            report = await valued(engine)
            later = [await engine.find(query["query_id"]) for query in answers[LAST:]]
            uses = [await engine.use(query["query_id"]) for query in answers[LAST:]]
            assert [await engine.content(query["query_id"]) for query in answers] == [None] * USES
            assert sum(state.waiting for state in await engine.writers()) == 0
            return answers, report, later, uses

    answers, report, later, uses = asyncio.run(month())
    assert {query["readout"] for query in answers} == {"distilled"}
    probability_Q = np.array([query["readout_probability"] for query in answers])
    assert probability_Q[:45].min() == 1.0
    assert probability_Q[LAST:].max() < 1.0
    assert (report.state, report.report["queries"]) == ("done", USES)
    read = np.array([found["readout"] == "exact" for found in later])
    assert 0.5 < read.sum() / probability_Q[LAST:].sum() < 1.5
    assert all("Ask again" in found["note"] for found, each in zip(later, read, strict=True) if not each)
    [left] = [found for found, each in zip(uses, read, strict=True) if not each][:1]
    view = query_view(project, left.shown["query_id"], found=left)
    assert (view.readout, view.sources, view.note) == ("distilled", (), left.shown["note"])
    assert np.abs(totals(project) - exact).max() < 2 * PRECISION * np.clip(exact, 0, None).sum()
    missed = [
        abs(told["influence_nats"] - nats[told["source_id"]]) / told["std_error_nats"]
        for answer, found in zip(answers[LAST:], later, strict=True)
        if found["readout"] == "exact"
        for nats in [{each["source_id"]: each["influence_nats"] for each in found["sources"]}]
        for told in answer["sources"]
    ]
    assert np.mean(np.array(missed) < 3) > 0.9  # predictions know their errors, once the head knows the traffic


def test_an_answer_predicted_is_found_again_and_replaced_by_the_exact_one(project: Project) -> None:
    async def ask() -> tuple[list[dict[str, Any]], list[Any], list[Any]]:
        async with local_engine(project) as engine:
            answers = await recorded(engine, requests(20))
            first = [await engine.find(query["query_id"]) for query in answers]
            await valued(engine)
            return answers, first, [await engine.find(query["query_id"]) for query in answers]

    answers, first, later = asyncio.run(ask())
    assert {found["readout"] for found in later} == {"exact"}
    for answer, found in zip(answers, first, strict=True):
        if found["readout"] == "distilled":
            told, again = (
                {s["source_id"]: s["influence_nats"] for s in each["sources"]} for each in (answer, found)
            )
            assert again == pytest.approx(told, rel=1e-4, abs=1e-4)


def test_a_page_shows_what_is_predicted_and_then_what_was_read_out(project: Project) -> None:
    def page(found: FoundUse | None) -> QueryView:
        assert found is not None
        return query_view(project, found.shown["query_id"], passages=0, found=found)

    async def ask() -> tuple[list[QueryView], list[QueryView]]:
        async with local_engine(project) as engine:
            answers = await recorded(engine, requests(20))
            names = [query["query_id"] for query in answers]
            first = [page(await engine.use(name)) for name in names]
            assert {await engine.content(name) for name in names} == {None}  # it is kept for a read-out alone
            await valued(engine)
            return first, [page(await engine.use(name)) for name in names]

    first, later = asyncio.run(ask())
    assert "distilled" in {view.readout for view in first} and {view.readout for view in later} == {"exact"}
    for before, after in zip(first, later, strict=True):
        assert (
            {each.source_id for each in before.sources} == {each.source_id for each in after.sources} == {*SOURCES}
        )
        assert (before.time, before.uses, before.content) == (after.time, after.uses, None)
        assert before.attribute_run is None and after.attribute_run is not None
        assert all(each.influence.low < each.influence.value for each in before.sources)


def test_contents_stay_as_long_as_configured(learnt: Project, tmp_path: Path) -> None:
    kept = ServingSettings(keep_content_days=1.0)
    project = copied(learnt, tmp_path / "press", DISTILLED, serving=kept)
    [request] = requests(3)

    async def ask() -> list[Any]:
        async with local_engine(project) as engine:
            await recorded(engine, [request])
            await valued(engine)
            return [await engine.content(f"u{number:04d}") for number in range(3)]

    assert asyncio.run(ask()) == [{"text": query.text} for query in request.queries]


def test_uses_that_wait_for_their_read_out_survive_a_restart(project: Project) -> None:
    """The process ends with read-outs to come; the next one goes on."""

    async def first() -> None:
        async with local_engine(project) as engine:
            await recorded(engine, requests(150, 150))

    async def second() -> Any:
        async with local_engine(project) as engine:
            return await valued(engine)

    asyncio.run(first())
    report = asyncio.run(second())
    assert (report.state, report.report["queries"]) == ("done", 150)


def test_a_policy_that_caps_or_follows_customers_reads_every_use_out(
    finished: Project, tmp_path: Path, project: Project
) -> None:
    capped = copied(finished, tmp_path / "capped", DISTILLED, policy={"customer_cap": "1/2"})
    followed = copied(finished, tmp_path / "followed", DISTILLED, policy={"basis": "user_centric"})

    async def ask(project: Project, uses: int) -> list[dict[str, Any]]:
        async with local_engine(project) as engine:
            answers = await recorded(engine, requests(uses))
            await valued(engine)
            return answers

    for each in (capped, followed):
        assert distils(each, LoadedModel(each)) is None
    assert distils(project, LoadedModel(project)) == PRECISION
    assert {query["readout"] for query in asyncio.run(ask(capped, 10))} == {"exact"}
    asyncio.run(ask(project, 300))  # without a cap, they are predicted
    run = lineage(project).simulate_run
    with open_tables(project.lake_root) as lake, pytest.raises(ValuationError, match="customer_cap"):
        runs = attribution_runs(lake, run, MONTH, None)
        source_sums(lake, run, MONTH, runs, SOURCES, Fraction(1, 3))


def test_uses_of_other_settings_stop_the_service_until_they_are_in_the_lake(project: Project) -> None:
    async def serve(project: Project) -> int:
        async with local_engine(project) as engine:
            return await engine.flush()

    path = project.workdir / "service" / "outbox-0.sqlite"

    async def ask() -> None:
        async with local_engine(project) as engine:
            await recorded(engine, requests(2))

    asyncio.run(ask())
    outbox = Outbox(path, lineage(project).simulate_run)
    waits = outbox.batches.waiting()
    outbox.close()
    assert waits == 2  # their read-outs were to come
    other = project.model_copy(update={"training": project.training.model_copy(update={"seed": 7})})
    with pytest.raises(LakeError, match=r"uses in the outbox .* were attributed by"):
        Outbox(path, lineage(other).simulate_run)
    fewer = project.workdir / "service" / "outbox-1.sqlite"
    shutil.copy(path, fewer)
    with pytest.raises(LakeError, match=r"serving\.writers: 1 leaves out"):
        asyncio.run(serve(project))


def test_the_first_uses_of_a_month_are_read_out_whatever_the_precision() -> None:
    assert draw_probability(1.0, np.ones(100), 0.0).min() == 1.0
