"""The bank of retrainings: fast trainings equal the product's, files are what was stored, rows can be made again."""

import hashlib

import numpy as np
import pytest
import torch

from tests.benchmarks.markets.bank import KEPT, SUMS, Bank, check, unpacked
from tests.benchmarks.markets.designs import REPLICATES, TRUTH, planned
from tests.benchmarks.markets.registry import build_world, worlds
from tests.benchmarks.markets.stacked import stacked_finals
from tribute.training import State


@pytest.mark.parametrize("setting", ["smooth", "rough"])
def test_stacked_trainings_equal_those_of_the_product(setting: str) -> None:
    recipe = build_world(f"poisoned-0-{setting}").recipe(seed=5)
    removed_KS = planned(10, seed=0)[[0, 3, 15]]
    steps = range(60)
    first = recipe.initial().theta.expand(3, -1).clone()
    kept_KS = 1 - torch.from_numpy(removed_KS).float()
    expected = recipe.run(State(first, recipe.rule.optimizer.init(first)), steps, kept_KS).theta
    found = stacked_finals(recipe, removed_KS, steps)
    assert (found - expected).norm() < 1e-4 * (expected - expected[:1]).norm()


def test_every_world_has_a_file_with_the_digest_that_is_stored() -> None:
    listed = dict(reversed(line.split("  ")) for line in (KEPT / SUMS).read_text().splitlines())
    assert listed == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in KEPT.glob("*.npz")}
    assert {f"{name}.npz" for name in worlds()} <= listed.keys()


def test_a_changed_file_is_refused(tmp_path, monkeypatch) -> None:
    changed = dict(np.load(KEPT / "poisoned-0-smooth.npz"))
    np.savez(tmp_path / "poisoned-0-smooth.npz", **changed)
    (tmp_path / SUMS).write_text((KEPT / SUMS).read_text())
    monkeypatch.setattr("tests.benchmarks.markets.bank.KEPT", tmp_path)
    with pytest.raises(ValueError, match=r"poisoned-0-smooth.npz has digest .* expected .* make the bank again"):
        Bank.of("poisoned-0-smooth")


def test_a_bank_holds_what_is_planned_and_its_rows_can_be_made_again() -> None:
    bank = Bank.of("poisoned-0-smooth")
    rows = set(zip(bank.arrays["seed_K"].tolist(), map(bytes, unpacked(bank.arrays)), strict=True))
    planned_rows = {(seed, bytes(row)) for seed in (*REPLICATES, *TRUTH) for row in planned(10, seed)}
    assert planned_rows == rows
    check("poisoned-0-smooth", count=2)


def test_shuffled_labels_hurt_in_the_truth() -> None:
    bank = Bank.of("poisoned-0-smooth")
    harmful = bank.arrays["kinds"] == "shuffled labels"
    truth_S = bank.truth().mean(0)
    assert harmful.sum() == 1
    assert truth_S[harmful].item() < 0 < np.median(truth_S[~harmful])
