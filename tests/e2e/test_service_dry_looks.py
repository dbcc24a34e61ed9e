"""Requests with `record: false` change nothing: no head learns from them, and no draw becomes rarer."""

import asyncio
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.e2e.test_service_distilled import DISTILLED, copied, requests
from tribute.catalog import pilot_queries
from tribute.config import Project
from tribute.readout.distilled import PILOT_QUERIES
from tribute.serving.attributing.attributor import Attributor
from tribute.serving.attributing.loaded import LoadedModel
from tribute.serving.heads import Heads
from tribute.tasks.bound import BoundModule


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return copied(finished, tmp_path / "press", DISTILLED)


async def _nothing_recorded(period: str) -> float:  # noqa: ARG001
    return 0.0


async def _asked(attributor: Attributor, uses: int, record: bool, month: str) -> list[tuple[str, float]]:
    """Read-out and its probability of every query, when the head has learnt what it learns from them."""
    answers = [
        await attributor.attribute(request.model_copy(update={"record": record}))
        for request in requests(uses, month=month)
    ]
    while attributor._learning:
        await asyncio.gather(*attributor._learning)
    queries = [query for answer in answers for query in orjson.loads(answer.head + b"}")["queries"]]
    return [(query["readout"], query["readout_probability"]) for query in queries]


def test_a_dry_look_teaches_no_head_and_makes_no_draw_rarer(project: Project) -> None:
    async def ask() -> None:
        attributor, heads = Attributor(project, _nothing_recorded), Heads(project)
        assert {*await _asked(attributor, PILOT_QUERIES, False, "2026-07")} == {("exact", 1.0)}
        assert heads.current() is None
        assert {*await _asked(attributor, PILOT_QUERIES, True, "2026-07")} == {("exact", 1.0)}
        head = heads.current()
        assert head is not None and head.fitted == PILOT_QUERIES
        dry = [await _asked(attributor, 600, False, "2026-08") for _ in range(3)]
        used = await _asked(attributor, 100, True, "2026-08")
        assert dry[0][:100] == dry[2][:100] == used  # what a look shows is what a use would have had
        [*_, (_, last)] = await _asked(attributor, 600, True, "2026-08")
        assert last < used[-1][1]

    asyncio.run(ask())


def test_a_head_learns_without_another_copy_of_the_model(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, queries = LoadedModel(project), pilot_queries(project, 12)
    first = model.features(queries)
    monkeypatch.delattr(BoundModule, "measured_at")
    np.testing.assert_array_equal(model.features(queries), first)
