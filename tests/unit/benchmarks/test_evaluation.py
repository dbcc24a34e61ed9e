"""Quality beside cost: what is kept for other libraries, which parts run, and what the tables show."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.evaluation.command import parts
from tests.benchmarks.evaluation.kept import Kept
from tests.benchmarks.evaluation.tables import advantages, judged, overview, setting_table
from tests.benchmarks.evaluation.truth import Costs, Truth
from tests.benchmarks.evaluation.versus import Scored, versus
from tribute.evaluation import GroundTruth

QUERIES, SOURCES, SETS = 6, 5, 12


def additive_truth() -> tuple[np.ndarray, Truth]:
    """Influences, and losses that are exactly their sums."""
    rng = np.random.default_rng(0)
    influence_QS = rng.normal(size=(QUERIES, SOURCES))
    sets = {name: rng.random((SETS, SOURCES)) < share for name, share in (("half", 0.5), ("tenth", 0.3))}
    lost = {name: influence_QS @ mask.T for name, mask in sets.items()}
    ground = GroundTruth([influence_QS, influence_QS], sets, {(name, "same"): each for name, each in lost.items()})
    return influence_QS, Truth(ground, {name: [each, each] for name, each in lost.items()})


def test_an_exact_estimate_has_rank_correlation_1_and_its_costs_beside_it() -> None:
    influence_QS, truth = additive_truth()
    row = truth.row("exact", "estimator", influence_QS, Costs(2.0, 30.0, 400))
    assert [row[f"lds_{part}_{seed}_seed"] for part in ("half", "tenth") for seed in ("same", "other")] == [1] * 4
    assert row["leave_source_out"] == 1 and row["misallocated_pool"] == 0
    assert (row["prepare_in_trainings"], row["query_in_forwards"], row["bytes"]) == (2.0, 30.0, 400)
    assert truth.row("reverse", "estimator", -influence_QS, Costs(0, 0, 0))["lds_half_other_seed"] == -1
    assert truth.lds_of_queries(influence_QS).tolist() == [1] * QUERIES


def test_what_is_kept_comes_back_and_another_truth_is_refused(tmp_path: Path) -> None:
    influence_QS, truth = additive_truth()
    own = {"trak": Scored(truth.lds_of_queries(influence_QS), Costs(1.0, 20.0, None))}
    with pytest.raises(SystemExit, match="First run: make bench"):
        Kept.read(tmp_path, "a", "make bench")
    Kept(truth, own).write(tmp_path, "a")
    back = Kept.read(tmp_path, "a", "make bench")
    spent = Costs(1.0, 2.0, 3)
    assert back.truth.row("m", "peer", influence_QS, spent) == truth.row("m", "peer", influence_QS, spent)
    assert back.own["trak"].costs == own["trak"].costs
    assert np.array_equal(back.own["trak"].lds_Q, own["trak"].lds_Q)
    with pytest.raises(SystemExit, match="retrainings of a, expected b"):
        Kept.read(tmp_path, "b", "make bench")


def test_peers_follow_their_setting() -> None:
    assert parts(["smooth", "months"], peers=True) == ["smooth", "smooth-peers", "months"]
    assert parts(["smooth-peers", "smooth"], peers=True) == ["smooth-peers", "smooth"]
    assert parts(["rough"], peers=False) == ["rough"]
    with pytest.raises(SystemExit, match="No SETTING lake"):
        parts(["lake"], peers=False)


def results() -> dict[str, dict]:
    """Two methods of ours by two settings, and a peer of one of them."""
    influence_QS, truth = additive_truth()
    noise_QS = influence_QS + np.random.default_rng(1).normal(size=influence_QS.shape)
    rows = [
        truth.row("difference, paired 20%, 1 replicate", "readout", influence_QS, Costs(2, 20, 8_000_000)),
        truth.row("difference, paired 20%, 3 replicates", "readout", influence_QS, Costs(6, 60, 24_000_000)),
        truth.row("trak", "estimator", noise_QS, Costs(3, 70, 9_000_000)),
        truth.row("token count", "baseline", -influence_QS, Costs(0, 0, 0)),
        {"method": "equal", "kind": "baseline", "misallocated_pool": 0.5},
    ]
    theirs = truth.row("TRAK, margin, 1 model", "peer", noise_QS, Costs(2, 140, 1_000_000))
    scored = {
        row["method"]: Scored(np.full(QUERIES, row["lds_half_other_seed"]), Costs(3, 70, 9)) for row in rows[:3]
    }
    lines = versus(scored, {theirs["method"]: Scored(np.full(QUERIES, 0.1), Costs(2, 140, 1))})
    peers = {"rows": [theirs], "versus": lines, "digest": "a"}
    return {"thousand": {"rows": rows, "digest": "a"}, "thousand-peers": peers}


def test_tables_show_one_replicate_with_intervals_and_costs() -> None:
    found = results()
    rows = judged(found, "thousand")
    default, theirs = "`difference`, paired 20% (the default)", "TRAK, margin, 1 model (other library)"
    assert set(rows) == {default, "`trak`", "token count", theirs}
    first = setting_table("thousand", rows)["rows"][0]
    assert first[:2] == [default, "1.00 [1.00, 1.00]"] and first[-3:] == ["2.0", "20", "8.0"]
    assert [line[0] for line in overview({"thousand": rows})["rows"]] == [default, "`trak`", "token count"]
    found["thousand-peers"]["digest"] = "b"
    assert theirs not in judged(found, "thousand")


def test_the_page_counts_what_holds_and_names_what_does_not() -> None:
    [line] = results()["thousand-peers"]["versus"]
    assert line["best"]["method"].startswith("difference")
    assert advantages({"thousand": [line]}) | {"best_gain": ""} == {
        "comparisons": "1",
        "held": "1",
        "exceptions": "none",
        "cost_ratio": "2.0 to 2",
        "best_gain": "",
    }
    line["same"]["holds"] = False
    assert advantages({"thousand": [line]})["exceptions"].startswith(
        "TRAK, margin, 1 model on MNIST 1,000 (.10 to "
    )
