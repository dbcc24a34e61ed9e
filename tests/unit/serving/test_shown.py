"""A recorded use is shown with the figures of its first answer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.projects import write_project
from tests.unit.readout.test_head import Traffic
from tribute.config import load_project
from tribute.corpus import Accounting, OutOfDistributionDetector, array_queries
from tribute.readout import Head
from tribute.serving.attributing.answers import Estimated, influences, listed
from tribute.serving.attributing.loaded import PieceRead
from tribute.serving.attributing.readings import QueriesRead
from tribute.serving.attributing.shown import shown_use
from tribute.serving.heads import Heads
from tribute.serving.schemas import Query
from tribute.simulation import Design, design_of
from tribute.simulation.units import banzhaf_units

SOURCES = 5


@dataclass
class ShownModel:
    """What an answer needs to know of a model."""

    design: Design
    source_ids: tuple[str, ...]
    ood: OutOfDistributionDetector


@pytest.fixture
def model() -> ShownModel:
    """Of sampled coalitions, so that influences have errors of their own."""
    units = banzhaf_units(SOURCES, 12, seed=0)
    design = design_of("banzhaf", units, np.ones(SOURCES))
    assert design.sampled is not None
    return ShownModel(design, tuple("abcde"), OutOfDistributionDetector((0.0,), None))


def test_a_predicted_use_has_the_standard_errors_of_its_first_answer(tmp_path: Path, model: ShownModel) -> None:
    project = load_project(write_project(tmp_path / "press"))
    traffic, rng = Traffic.of(60), np.random.default_rng(0)
    units = len(model.design.units)
    influence_RnU = traffic.influence_RQU @ rng.normal(size=(traffic.influence_RQU.shape[2], units))
    influence_RnU += rng.normal(size=influence_RnU.shape)
    head = Head.fit(traffic.feature_Qd, influence_RnU, model.design, 0.05)
    Heads(project).adopt(head)
    queries = [Query(features=[0.5], label=0)]
    table = array_queries(["a"], [[0.5]], [0], Accounting([datetime(2026, 10, 1, tzinfo=UTC)]))
    part = PieceRead(head.coordinates(traffic.feature_Qd[:1])[0], -1.0, 1.0)
    read = QueriesRead.predicted(model, head, table, [0], [part])  # type: ignore[arg-type]
    estimated = Estimated.of(read.influence_RQS, read.error_QS, read.distribution.widening_Q)
    answered = influences(estimated, 0, listed(estimated, 0, None), model.source_ids, "source_id")
    uses = read.uses("simulate-1", table, queries, keeps_contents=False)
    shown = shown_use(project, model, uses)  # type: ignore[arg-type]
    assert shown["readout"] == "distilled"
    assert shown["sources"] == answered["sources"]
    of_head = np.sqrt(np.square(head.error_S) + read.influence_RQS[:, 0].var(0, ddof=1) / 3)
    told = {each["source_id"]: each["std_error_nats"] for each in shown["sources"]}
    assert all(told[name] > 1.01 * error for name, error in zip(model.source_ids, of_head, strict=True))
