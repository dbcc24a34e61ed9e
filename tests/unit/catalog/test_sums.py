"""Sums of a month of live uses in the lake: exact read-outs of some, predictions of all."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.unit.readout.test_head import REPLICATES, SOURCES, Traffic, design
from tribute.catalog.period import _largest_errors
from tribute.catalog.sums import source_sums
from tribute.readout import LiveUses, SourceHead, influence_rows, live_totals
from tribute.valuation import GROUPS, query_groups
from tribute_storage import SCHEMAS, Lake, open_tables

RUN, COUNT, NAMES = "attribute-1", 60, tuple("abcde")


def recorded(lake: Lake) -> tuple[np.ndarray, ...]:
    """Commits a month with two heads, and unequal probabilities: uses, probabilities, drawn, exact, predicted."""
    rng, traffic = np.random.default_rng(5), Traffic.of(COUNT, seed=4)
    uses_Q, probability_Q = 1 + rng.exponential(size=COUNT), rng.uniform(0.2, 0.9, size=COUNT)
    probability_Q[:10] = 1
    drawn_Q, query_ids = rng.random(COUNT) < probability_Q, [f"q{n}" for n in range(COUNT)]
    exact_RQS = np.stack([design().influence(each) for each in traffic.influence_RQU]).astype(np.float32)
    parts, predicted = [], []
    for seed, which in ((1, slice(0, 35)), (2, slice(35, None))):
        head = Traffic.of(50, seed=seed).fit()
        coordinates_Qk, by_source = head.coordinates(traffic.feature_Qd[which]), SourceHead.of(head, design())
        group_Q = query_groups(query_ids[which])
        columns = uses_Q[which], group_Q, coordinates_Qk, drawn_Q[which], probability_Q[which]
        parts.append(LiveUses(by_source, *columns))
        predicted.append(np.stack([coordinates_Qk.astype(float) @ each for each in by_source.column_RkS], 0))
    chosen = np.flatnonzero(drawn_Q).tolist()
    read_RQS = exact_RQS[:, chosen]
    ids = [query_ids[n] for n in chosen]
    lake.append("influence", RUN, influence_rows(RUN, NAMES, ids, read_RQS, np.full_like(read_RQS, 0.5)))
    lake.append("predicted", RUN, live_totals(parts).rows(RUN, NAMES))
    common = {"run_id": RUN, "simulate_run": "simulate-1", "period": "2026-10", "origin": "service"}
    common |= {"time": datetime(2026, 10, 1, tzinfo=UTC), "inclusion_probability": 1.0, "similarity": 1.0}
    common |= {"unlike_corpus": False, "measurement_nats": 1.0, "content_sha256": "0", "customer_id": None}
    rows = [
        common | {"query_id": name, "weight": weight, "readout_probability": probability}
        for name, weight, probability in zip(query_ids, uses_Q.tolist(), probability_Q.tolist(), strict=True)
    ]
    lake.append("queries", RUN, pa.Table.from_pylist(rows, SCHEMAS["queries"]))
    return uses_Q, probability_Q, drawn_Q, exact_RQS.astype(float), np.concatenate(predicted, 1)


def test_a_month_of_live_uses_sums_to_the_difference_estimate(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    uses_Q, probability_Q, drawn_Q, exact_RQS, predicted_RQS = recorded(lake)
    with open_tables(lake.root) as connection:
        sums = source_sums(connection, "simulate-1", "2026-10", [RUN], NAMES)
    open_Q, expanded_Q = probability_Q < 1, drawn_Q / probability_Q
    each_RQS = uses_Q[:, None] * np.where(open_Q[:, None], predicted_RQS, exact_RQS)
    missed_RQS = (uses_Q * expanded_Q * open_Q)[:, None] * (exact_RQS - predicted_RQS)
    group_Q = query_groups([f"q{n}" for n in range(COUNT)])
    expected_RGS, residual_GS = np.zeros((REPLICATES, GROUPS, SOURCES)), np.zeros((GROUPS, SOURCES))
    for expected_GS, each_QS in zip(expected_RGS, each_RQS + missed_RQS, strict=True):
        np.add.at(expected_GS, group_Q, each_QS)
    np.add.at(residual_GS, group_Q, missed_RQS.mean(0))
    np.testing.assert_allclose(sums.nats_RGS, expected_RGS, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sums.residual_GS, residual_GS, rtol=1e-6, atol=1e-6)
    square_Q = np.square(uses_Q * expanded_Q)[open_Q]
    np.testing.assert_allclose(sums.drawn, square_Q @ probability_Q[open_Q] / square_Q.sum(), rtol=1e-9)
    assert 0.2 < sums.drawn < 0.9


def test_errors_of_coalitions_are_expanded_to_the_uses_that_were_not_drawn(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    uses_Q, probability_Q, drawn_Q, *_ = recorded(lake)
    with open_tables(lake.root) as connection:
        error_SS = _largest_errors(connection, NAMES, [RUN])
    np.testing.assert_allclose(
        error_SS, 0.5 * (uses_Q * drawn_Q / probability_Q).sum() * np.eye(SOURCES), rtol=1e-9
    )
