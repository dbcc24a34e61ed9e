"""The bank of retrainings: fast trainings equal the product's, files are as stored, rows can be made again."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.benchmarks.markets.bank import KEPT, SUMS, Bank, check
from tests.benchmarks.markets.columns import HARMFUL
from tests.benchmarks.markets.designs import REPLICATES, TRUTH, planned
from tests.benchmarks.markets.learning import Known, Valuation, random_fifths
from tests.benchmarks.markets.registry import build_world, worlds
from tests.benchmarks.markets.stacked import stacked_finals
from tribute.config import ValuationSettings
from tribute.tasks import joined
from tribute.valuation.terms import LeftOut


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch) -> Path:
    """A folder of their own for trainings on demand."""
    monkeypatch.setattr("tests.benchmarks.markets.bank.MADE", tmp_path / "made")
    return tmp_path / "made"


@pytest.mark.parametrize("setting", ["smooth", "rough"])
def test_stacked_trainings_equal_those_of_the_product(setting: str) -> None:
    recipe = build_world(f"poisoned-0-{setting}").recipe(seed=5)
    removed_KS = planned(10, seed=0)[[0, 3, 15]]
    steps = range(60)
    first = joined(recipe.initial().theta).expand(3, -1).clone()
    kept_KS = 1 - torch.from_numpy(removed_KS).float()
    expected = joined(recipe.run(recipe.rule.begin(recipe.task.pieces(first)), steps, kept_KS).theta, 1)
    found = stacked_finals(recipe, removed_KS, steps)
    assert (found - expected).norm() < 1e-4 * (expected - expected[:1]).norm()


def test_every_world_has_a_file_with_the_digest_that_is_stored() -> None:
    listed = dict(reversed(line.split("  ")) for line in (KEPT / SUMS).read_text().splitlines())
    assert listed == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in KEPT.glob("*.npz")}
    assert {f"{name}.npz" for name in worlds(("size", "quality", "poisoned"))} <= listed.keys()


def test_a_changed_file_is_refused(tmp_path, monkeypatch) -> None:
    changed = dict(np.load(KEPT / "poisoned-0-smooth.npz"))
    np.savez(tmp_path / "poisoned-0-smooth.npz", **changed)
    (tmp_path / SUMS).write_text((KEPT / SUMS).read_text())
    monkeypatch.setattr("tests.benchmarks.markets.bank.KEPT", tmp_path)
    with pytest.raises(ValueError, match=r"poisoned-0-smooth.npz has digest .* expected .* make the bank again"):
        Bank.of("poisoned-0-smooth")


def test_a_bank_holds_what_is_planned_and_its_rows_can_be_made_again() -> None:
    bank = Bank.of("poisoned-0-smooth")
    removed_KS, seed_K = bank.planned
    rows = set(zip(seed_K.tolist(), map(bytes, removed_KS), strict=True))
    planned_rows = {(seed, bytes(row)) for seed in (*REPLICATES, *TRUTH) for row in planned(10, seed)}
    assert planned_rows == rows
    check("poisoned-0-smooth", count=2)


def test_shuffled_labels_hurt_in_the_truth() -> None:
    bank = Bank.of("poisoned-0-smooth")
    harmful = bank.arrays["kinds"] == HARMFUL
    truth_S = bank.truth().mean(0)
    assert harmful.sum() == 1
    assert truth_S[harmful].item() < 0 < np.median(truth_S[~harmful])


def test_a_valuation_goes_on_where_another_chose_as_it_would_have() -> None:
    bank = Bank.of("poisoned-0-smooth")
    larger = list(Valuation(bank, ValuationSettings(budget=9, precision=None)).learnt())
    for settings in (ValuationSettings(budget=6, precision=None), ValuationSettings(budget=10, precision=0.2)):
        valuation = Valuation(bank, settings)
        assert valuation.resumed(larger) == list(valuation.learnt())


def test_a_new_seed_counts_its_full_training() -> None:
    known = Known().after([LeftOut((1,), 3), LeftOut((2,), 3), LeftOut((2,), 0)])
    assert known.spent == 4
    assert known.seeds == ((0, 1, 2, 3), (4,))
    assert known.after([LeftOut((4,), 3)]).spent == 5


def test_random_fifths_are_of_the_bank_in_turn_by_seed() -> None:
    found = random_fifths(Bank.of("quality-0-smooth"), 1, 7)
    assert [each.seed for each in found.trained] == [0, 1, 2, 0, 1, 2, 0]
    assert {len(each.removed) for each in found.trained} == {4}


def test_trainings_on_demand_are_kept(made: Path) -> None:
    row_S = np.array([1, 0, 1, 0, 1, 0, 0, 0, 0, 0], np.uint8)
    lost = Bank.of("poisoned-0-smooth").lost(row_S, seed=77)
    bank = Bank.of("poisoned-0-smooth")
    assert (np.load(made / "poisoned-0-smooth-further.npz")["seed_K"] == 77).sum() == 2
    assert bank.lost(row_S, seed=77) == lost > 0
    assert "world" not in vars(bank)
