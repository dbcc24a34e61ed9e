"""What a head learns from, and what makes draws rarer: uses alone, and each of them once."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.projects import write_project
from tests.unit.readout.test_head import Array, Traffic, design
from tribute.config import Project, load_project
from tribute.corpus import Accounting, QueryTable, array_queries
from tribute.readout import Head, draw_probability
from tribute.readout.distilled import PILOT_QUERIES
from tribute.serving.attributing import distilling
from tribute.serving.attributing.distilling import Distiller
from tribute.serving.heads import Heads
from tribute.simulation import Design

RECORDED = 1000.0
"""Uses of the month in the outboxes, whatever comes."""


@dataclass
class FeatureModel:
    """What a distiller asks of a model: features of queries, and how units add up."""

    design: Design

    def features(self, queries: QueryTable) -> Array:
        feature_Qd = queries.rows["features"].astype(np.float64)
        return np.hstack([feature_Qd, np.ones((len(feature_Qd), 1))])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_project(tmp_path / "press"))


def distiller(project: Project) -> Distiller:
    async def counted(period: str) -> float:
        assert period == "2026-10"
        await asyncio.sleep(0)  # others come meanwhile
        return RECORDED

    return Distiller(project, FeatureModel(design()), 0.05, counted)  # type: ignore[arg-type]


def uses(count: int, first: int = 0) -> tuple[QueryTable, Array]:
    """Uses of a month, of weight 1, from a number on; and their influences."""
    traffic, moment = Traffic.of(count, seed=first), datetime(2026, 10, 1, tzinfo=UTC)
    names = [f"u{first + number}" for number in range(count)]
    features, labels = traffic.feature_Qd[:, :-1].astype(np.float32), np.zeros(count, np.int64)
    return array_queries(names, features, labels, Accounting([moment] * count)), traffic.influence_RQU


def probabilities(asked: Distiller, head: Head, *numbers: int, record: bool = True) -> list[float]:
    """Of one use after some requests, each of the uses from 0 to a number."""

    async def ask() -> list[float]:
        for number in numbers:
            await asked.draw(head, uses(number)[0], record)
        return (await asked.draw(head, uses(1)[0], True))[0].tolist()

    return asyncio.run(ask())


def after(head: Head, before: float) -> list[float]:
    return draw_probability(head.needed, np.ones(1), before).tolist()


def test_dry_looks_make_no_draw_rarer_and_uses_do(project: Project) -> None:
    head = replace(Traffic.of(60).fit(), needed=500.0)
    assert probabilities(distiller(project), head, 300, 40, record=False) == after(head, RECORDED)
    assert probabilities(distiller(project), head, 300, 40) == after(head, RECORDED + 340)


def test_what_came_and_was_not_recorded_is_forgotten_when_uses_are_counted_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tries that timed out, and ids that were recorded before."""
    head = replace(Traffic.of(60).fit(), needed=500.0)
    monkeypatch.setattr(distilling, "COUNTED_AGAIN_S", -1.0)
    assert probabilities(distiller(project), head, *[300] * 20) == after(head, RECORDED)


def test_requests_that_ask_at_once_add_up(project: Project) -> None:
    head, asked = replace(Traffic.of(60).fit(), needed=500.0), distiller(project)

    async def ask() -> None:
        await asyncio.gather(*(asked.draw(head, uses(50)[0], True) for _ in range(8)))

    asyncio.run(ask())
    assert probabilities(asked, head) == after(head, RECORDED + 400)


def test_a_repeated_use_teaches_nothing(project: Project) -> None:
    learner = distiller(project)
    for _ in range(4):
        learner.learn(*uses(PILOT_QUERIES - 1))
    assert Heads(project).current() is None
    learner.learn(*uses(2, first=PILOT_QUERIES - 2))  # one of them is new
    head = Heads(project).current()
    assert head is not None and head.fitted == PILOT_QUERIES


def test_a_head_is_replaced_by_one_that_was_fitted_to_no_less(project: Project) -> None:
    """Also after a restart, and if the one in use is another process's."""
    started_first, known = distiller(project), 2 * PILOT_QUERIES
    distiller(project).learn(*uses(known))
    head = Heads(project).current()
    assert head is not None and head.fitted == known
    for learner in (started_first, distiller(project)):
        learner.learn(*uses(known - 1, first=5000))
        kept = Heads(project).current()
        assert kept is not None and kept.head_id == head.head_id
    learner.learn(*uses(1, first=9000))
    new = Heads(project).current()
    assert new is not None and new.head_id != head.head_id and new.fitted == known


def test_a_head_is_fitted_again_when_read_outs_have_doubled(project: Project) -> None:
    learner, fitted = distiller(project), []
    for part in range(20):
        learner.learn(*uses(PILOT_QUERIES // 2, first=10_000 * part))
        head = Heads(project).current()
        fitted.append(head.fitted if head else 0)
    assert fitted == [0, 200, 200, *[400] * 4, *[800] * 8, *[1000] * 5]
