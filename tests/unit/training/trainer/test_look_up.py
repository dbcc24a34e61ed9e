"""Examples of a batch are found by their content, or refused with the reason."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.functional import pad

from tests.unit.training.trainer.runs import WIDTH, corpus
from tribute.errors import ConfigError
from tribute.training import TrainerRows, TrainingSet
from tribute.training.trainer.look_up import RowIndex

Inputs = dict[str, torch.Tensor]


def batch(data: TrainingSet, indices: list[int]) -> Inputs:
    rows = TrainerRows(data)
    return rows.collate([rows[index] for index in indices])


@pytest.mark.parametrize("ragged", [True, False])
@pytest.mark.parametrize("prompts", [True, False])
def test_every_row_is_found_with_its_number_of_targets(ragged: bool, prompts: bool) -> None:
    data = corpus(ragged=ragged, prompts=prompts)
    indices = np.random.default_rng(1).permutation(len(data)).tolist()
    found = RowIndex(data).found(batch(data, indices))
    assert [row.example for row in found] == indices
    lengths = (data.columns["tokens"][indices] >= 0).sum(1)
    assert [row.tokens for row in found] == (lengths - (2 if prompts else 1)).tolist()


def test_padding_is_found_without_a_mask() -> None:
    data = corpus()
    given = batch(data, [3, 9, 20])
    del given["attention_mask"]
    assert [row.example for row in RowIndex(data).found(given)] == [3, 9, 20]


def packed(data: TrainingSet, indices: list[int]) -> Inputs:
    """The rows one after the other as one row, as collators without padding give them."""
    rows = [TrainerRows(data)[index] for index in indices]
    places = [place for row in rows for place in range(len(row["input_ids"]))]
    joint = {name: [token for row in rows for token in row[name]] for name in ("input_ids", "labels")}
    return {name: torch.tensor([value]) for name, value in (joint | {"position_ids": places}).items()}


def test_a_packed_row_is_taken_apart() -> None:
    data = corpus()
    assert [row.example for row in RowIndex(data).found(packed(data, [4, 2, 17]))] == [4, 2, 17]


def test_padding_of_a_packed_row_and_what_repeats_its_ends_are_passed_over() -> None:
    data = corpus()
    given = packed(data, [4, 2, 17])
    given = {name: pad(value, (0, 3), value=-100 * (name == "labels")) for name, value in given.items()}
    given |= {"cu_seq_lens_q": torch.zeros(1), "max_length_q": torch.zeros(1)}
    given |= {"shift_labels": pad(given["labels"], (0, 1), value=-100)[:, 1:]}
    assert [row.example for row in RowIndex(data).found(given)] == [4, 2, 17]


def test_a_training_set_gives_right_padded_rows() -> None:
    data = corpus(prompts=True)
    given = batch(data, [0, 1, 2])
    tokens, target = (data.columns[name][:3] for name in ("tokens", "target"))
    width = given["input_ids"].shape[1]
    assert width == (tokens >= 0).sum(1).max()
    np.testing.assert_array_equal(given["attention_mask"].numpy() == 1, tokens[:, :width] >= 0)
    np.testing.assert_array_equal(given["labels"].numpy(), np.where(target, tokens, -100)[:, :width])


def another(given: Inputs) -> Inputs:
    return given | {"input_ids": given["input_ids"] + 1, "labels": torch.full_like(given["labels"], -100)}


def shifted(given: Inputs) -> Inputs:
    return given | {"labels": given["input_ids"].roll(-1, 1)}


def ends_hidden(given: Inputs) -> Inputs:
    last = given["attention_mask"].sum(1) - 1
    return given | {"labels": given["labels"].scatter(1, last[:, None], -100)}


def all_predicted(given: Inputs) -> Inputs:
    return given | {"labels": torch.where(given["attention_mask"] == 1, given["input_ids"], -100)}


def padded_left(given: Inputs) -> Inputs:
    return {name: value.flip(1) for name, value in given.items()}


def joined(given: Inputs) -> Inputs:
    places = torch.arange(given["input_ids"].shape[1]) % 5
    return {"input_ids": given["input_ids"], "labels": given["input_ids"]} | {
        "position_ids": places.expand_as(given["input_ids"])
    }


def seen(given: Inputs) -> Inputs:
    places = torch.cat([torch.arange(5), torch.arange(given["input_ids"].shape[1] - 5)])
    return given | {"position_ids": places.expand_as(given["input_ids"])}


def from_one(given: Inputs) -> Inputs:
    places = 1 + torch.arange(given["input_ids"].shape[1]).expand_as(given["input_ids"])
    return {"input_ids": given["input_ids"], "labels": given["labels"], "position_ids": places}


REFUSED: dict[str, tuple[Callable[[Inputs], Inputs], str]] = {
    "another text": (another, "that is not in the training set"),
    "padding is the end of text": (ends_hidden, r"The Trainer leaves token \d+ at position \d+ out of the loss"),
    "prompts are predicted": (all_predicted, r"The Trainer predicts token \d+ at position 1, which example 4"),
    "left": (padded_left, "padded at the left"),
    "no labels": (lambda given: {"input_ids": given["input_ids"]}, "expected input_ids and labels"),
    "shifted": (shifted, "labels that are neither its tokens"),
    "a mask over packed rows": (seen, "an attention_mask, with which these see one another"),
    "positions from 1": (from_one, "position_ids that do not count up from 0"),
    "positions of another shape": (lambda given: given | {"position_ids": torch.zeros(3, 4)}, r"shape \(3, 4\)"),
    "own mask": (lambda given: given | {"attention_mask": {}}, "has a mask of its own"),
    "another input": (
        lambda given: given | {"token_type_ids": given["labels"]},
        "batch has token_type_ids, which",
    ),
    "other shifted labels": (lambda given: given | {"shift_labels": given["labels"]}, "shift_labels that are not"),
    "packed over an end": (joined, "the end of an example predicts the first token"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_row_of_the_training_set_is_refused(change: Callable[[Inputs], Inputs], message: str) -> None:
    data = corpus(prompts=True)
    with pytest.raises(ConfigError, match=message):
        RowIndex(data).found(change(batch(data, [4, 8, 20])))


def test_a_row_of_two_sources_is_refused_and_one_of_one_source_twice_is_not() -> None:
    tokens = np.arange(3, 3 + 2 * WIDTH, dtype=np.int32).reshape(2, WIDTH)
    twice = {"tokens": np.concatenate([tokens, tokens])}
    data = TrainingSet.assemble({"a": {"tokens": tokens[:1]}, "b": {"tokens": tokens}})
    with pytest.raises(ConfigError, match="that several sources have: a, b"):
        RowIndex(data).found(batch(data, [0]))
    assert RowIndex(TrainingSet.assemble({"a": twice})).found(batch(data, [2]))[0].example == 1


def test_a_training_set_of_other_columns_is_refused() -> None:
    data = TrainingSet.assemble({"a": {"features": np.zeros((2, 3))}})
    with pytest.raises(ConfigError, match="has the columns features, but a Trainer needs `tokens`"):
        TrainerRows(data)
