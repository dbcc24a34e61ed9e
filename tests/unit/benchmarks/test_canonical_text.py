"""The transformer on text: its windows, its retrainings, and the stored bank."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.benchmarks.canonical.command import BANK, SETTINGS, WITHOUT
from tests.benchmarks.canonical.making import differences
from tests.benchmarks.canonical.methods import Variant, estimated
from tests.benchmarks.canonical.rows import row
from tests.benchmarks.canonical.settings import Plan
from tests.benchmarks.canonical.tables import table
from tests.benchmarks.canonical.text import TRANSFORMER, TextSetting, described_text, make_text, retrained_text
from tests.benchmarks.canonical.text.making import Training, measured, planned
from tests.benchmarks.canonical.text.windows import FILE, WINDOW, Windows, cut_windows, read_windows
from tribute.errors import DamagedFile
from tribute.evaluation.bank import RetrainBank
from tribute.tasks import joined

EXAMPLES, QUERIES = 40, 6


def few_windows() -> Windows:
    """Windows of two words in turn, in two halves of the training set."""
    rng, words = np.random.default_rng(0), (b"to and fro ", b"0123456789 ")
    texts = [np.frombuffer(words[n * 2 // EXAMPLES % 2] * 6, np.uint8)[:33].copy() for n in range(EXAMPLES)]
    for text in texts:
        text[rng.integers(33, size=4)] = rng.integers(33, 127, size=4)
    return Windows(np.stack(texts), np.stack([texts[n * (EXAMPLES // QUERIES)] for n in range(QUERIES)]))


def small() -> TextSetting:
    """A setting in the manner of the other, trained in a tenth of a second."""
    options = {"context": 32, "width": 8, "heads": 2, "layers": 1, "vocabulary": 128}
    return replace(
        TRANSFORMER,
        name="small",
        task=TRANSFORMER.task.model_copy(update={"options": options}),
        training=TRANSFORMER.training.model_copy(update={"learning_rate": 0.02, "batch_size": 10}),
        read=few_windows,
        plan=Plan(halves=2, runs=2, same=1, singles=0),
        percents=4,
    )


def test_other_windows_than_those_of_the_bank_are_refused(tmp_path) -> None:
    stored = read_windows()
    assert (stored.examples.shape, stored.queries.shape) == ((1000, WINDOW), (100, WINDOW))
    assert max(stored.examples.max(), stored.queries.max()) < 128
    changed = tmp_path / "windows.npz"
    changed.write_bytes(FILE.read_bytes() + b" ")
    with pytest.raises(DamagedFile, match=r"not the text of the bank\. Take the file from the repository again"):
        read_windows(changed)


def test_windows_are_cut_from_all_pages_without_overlap(tmp_path) -> None:
    (tmp_path / "one.md").write_text("".join(chr(65 + n % 26) for n in range(700 * WINDOW + 3)))
    (tmp_path / "two.md").write_text("\u2212" + "".join(chr(97 + n % 26) for n in range(500 * WINDOW)))
    examples, queries = cut_windows(tmp_path)
    everything = np.concatenate([examples, queries])
    assert len(everything) == 1100
    first_N = np.where(everything[:, 0] >= 97, everything[:, 0] - 97, everything[:, 0] - 65)
    steps = (everything[:, 1:].astype(int) - everything[:, :-1]) % 26
    assert (steps == 1).all() and set(first_N.tolist()) == {0, 13}


def test_parts_of_a_percent_are_disjoint_and_cover_all_examples() -> None:
    left_out_MN = ~TRANSFORMER.kept_percents
    assert left_out_MN.sum(1).tolist() == [10] * 100 and (left_out_MN.sum(0) == 1).all()
    assert (TRANSFORMER.kept_halves.sum(1) == 500).all()


def test_retrainings_are_those_of_the_product() -> None:
    setting = small()
    kept_N = setting.kept_percents[1]
    recipe = setting.recipe(0)
    queries = {"tokens": torch.from_numpy(setting.query_rows.columns["tokens"])}
    theta_P = joined(recipe.run(recipe.initial(), range(recipe.steps), torch.from_numpy(kept_N).float()).theta)
    expected_Q = recipe.task.measure(theta_P, queries).numpy()
    np.testing.assert_array_equal(retrained_text(setting, kept_N[None]), expected_Q[None])
    half_N = setting.kept_halves[0]
    only = replace(setting, read=lambda: Windows(few_windows().examples[half_N], few_windows().queries))
    everything = np.ones(EXAMPLES // 2, dtype=bool)
    np.testing.assert_array_equal(
        measured(setting, Training("half", half_N, 7, alone=True)), measured(only, Training("base", everything, 7))
    )


def test_a_bank_holds_the_plan_and_is_made_the_same_again(tmp_path) -> None:
    setting = small()
    bank = make_text(setting)
    assert bank.kind_M.tolist() == ["percent"] * 4 + ["half"] * 5
    assert bank.seed_M.tolist() == [0] * 5 + [1000, 1001, 1002, 1003]
    assert (bank.base_of(0) == measured(setting, Training("base", np.ones(EXAMPLES, dtype=bool), 0))).all()
    bank.write(tmp_path)
    assert differences(RetrainBank.read(tmp_path, "small"), make_text(setting)) == pytest.approx((0.0, 1.0))


def test_a_table_has_the_columns_that_the_setting_has() -> None:
    setting = small()
    bank = make_text(setting)
    [each] = estimated(setting, [Variant("ekfac")], [0])
    line = row(bank, each, peer=False)
    assert line["lds_percent"]["value"] > 0.2 and line["published"] == []
    shown = table([line], bank)
    assert "LDS, 1 % left out" in shown["columns"] and "leave-one-out" not in shown["columns"]
    names = [cells[0] for cells in shown["rows"]]
    assert names[0] == "`ekfac`" and "*published: MAGIC, GPT-2 on WikiText*" in names


def test_the_stored_bank_is_that_of_its_setting() -> None:
    bank, rest = RetrainBank.read(BANK, "transformer"), planned(TRANSFORMER)
    assert SETTINGS["transformer"] is TRANSFORMER and "astra" in WITHOUT["transformer"]
    assert bank.settings == described_text(TRANSFORMER)
    assert bank.kind_M.tolist() == [each.kind for each in rest]
    assert bank.seed_M.tolist() == [each.seed for each in rest]
    np.testing.assert_array_equal(bank.kept_MN, np.stack([each.kept_N for each in rest]))


@pytest.mark.slow
def test_a_stored_value_is_retrained() -> None:
    bank, first = RetrainBank.read(BANK, "transformer"), planned(TRANSFORMER)[0]
    np.testing.assert_allclose(measured(TRANSFORMER, first), bank.measured_MQ[0], atol=0.05)
