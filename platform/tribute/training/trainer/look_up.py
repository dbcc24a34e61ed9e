"""Finds which examples of a training set a batch of a Trainer holds, by their content.

So no index travels with the rows, whatever shuffles, groups, prefetches or pads them.

Legend: B rows of a batch, W tokens of a row.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from tribute.errors import ConfigError
from tribute.training.trainer.rows import IGNORED, TrainerRows
from tribute.training.training_set import TrainingSet

SHOWN = 8
"""Tokens shown of a row."""
READ = ("input_ids", "labels", "attention_mask", "position_ids", "shift_labels")
"""Inputs that are looked at."""
BOUNDS = ("cu_seq_lens", "max_length", "seq_idx")
"""Beginnings of the names of inputs that only repeat where the examples of a packed row begin."""


class FoundRow(NamedTuple):
    """An example in a batch, and how many of its tokens are predicted."""

    example: int
    tokens: int


class RowIndex:
    """The examples of a training set by their tokens."""

    def __init__(self, data: TrainingSet) -> None:
        self._rows = TrainerRows(data)

    def found(self, inputs: Mapping[str, Any]) -> list[FoundRow]:
        """The examples of a Trainer's inputs, in their order.

        A packed row, whose positions begin anew at each example, is taken apart.

        Raises:
            ConfigError: the inputs are no rows of tokens with labels, or are padded at the left, or have examples
                that see one another; or a row is not in the training set, has other targets, or belongs to several
                sources.
        """
        tokens_BW, labels_BW = _columns(inputs)
        parts = list(_parts(inputs))
        if any(part[0] > 0 and labels_BW[row, part[0]] != IGNORED for row, part in parts):
            raise ConfigError(
                "The Trainer's batch has packed rows in which the end of an example predicts the first token of "
                "the next. Set the label of each first token to -100"
            )
        padded = "attention_mask" not in inputs
        return [self._example(tokens_BW[row, part], labels_BW[row, part], padded=padded) for row, part in parts]

    def _example(self, tokens: NDArray[np.int64], labels: NDArray[np.int64], *, padded: bool) -> FoundRow:
        """Find an example. `padded`: tokens without labels at the end may be padding."""
        if padded and _key(tokens) not in self._known:
            end = int(np.flatnonzero(labels != IGNORED).max(initial=0)) + 1
            if _key(tokens[:end]) in self._known:
                tokens, labels = tokens[:end], labels[:end]
        target = labels != IGNORED
        target[:1] = False
        return FoundRow(self._index_of(tokens, target), int(target.sum()))

    @cached_property
    def _known(self) -> Mapping[bytes, list[int]]:
        """The examples with each sequence of tokens."""
        known: dict[bytes, list[int]] = defaultdict(list)
        for index in range(len(self._rows)):
            known[_key(self._rows.row(index)[0])].append(index)
        return dict(known)

    def _index_of(self, tokens: NDArray[np.int64], target: NDArray[np.bool_]) -> int:
        shown = f"{', '.join(map(str, tokens[:SHOWN].tolist()))}{', ...' if len(tokens) > SHOWN else ''}"
        title = f"The Trainer's batch has a row of {len(tokens)} tokens ({shown})"
        same = self._known.get(_key(tokens), [])
        if not same:
            raise ConfigError(
                f"{title} that is not in the training set. Train on the rows of the training set, as "
                "tribute.training.TrainerRows gives them, or let the corpus read the texts as the Trainer does: "
                "by the same tokenizer, window and special tokens"
            )
        fitting = [index for index in same if np.array_equal(self._rows.row(index)[1], target)]
        if not fitting:
            raise ConfigError(f"{title} with other targets. {self._difference(same[0], tokens, target)}")
        owners = {self._rows.data.source_ids[self._rows.data.source_N[index]] for index in fitting}
        if len(owners) > 1:
            raise ConfigError(
                f"{title} that several sources have: {', '.join(sorted(owners))}. Keep it in one of them"
            )
        return fitting[0]

    def _difference(self, index: int, tokens: NDArray[np.int64], target: NDArray[np.bool_]) -> str:
        place = int(np.flatnonzero(self._rows.row(index)[1] != target)[0])
        named = f"token {tokens[place]} at position {place}"
        if target[place]:
            return (
                f"The Trainer predicts {named}, which example {index} of the training set leaves out. Take the "
                "labels of the training set, as tribute.training.TrainerRows gives them"
            )
        return (
            f"The Trainer leaves {named} out of the loss, which example {index} of the training set predicts. If "
            "texts end with the padding token, which collators leave out, set tokenizer.pad_token to another one; "
            "or take the labels of the training set, as tribute.training.TrainerRows gives them"
        )


def _key(tokens: NDArray[np.int64]) -> bytes:
    return blake2b(np.ascontiguousarray(tokens, dtype=np.int64).tobytes(), digest_size=16).digest()


def _columns(inputs: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens and labels, [B, W] each."""
    tokens_BW, labels_BW, shifted_BW = (inputs.get(name) for name in ("input_ids", "labels", "shift_labels"))
    if (
        not isinstance(tokens_BW, Tensor)
        or not isinstance(labels_BW, Tensor)
        or tokens_BW.dim() != 2
        or tokens_BW.shape != labels_BW.shape
    ):
        raise ConfigError(
            f"The Trainer's batch has {', '.join(inputs)}, expected input_ids and labels, [B, W] each. Record "
            "other trainings with tribute.training.Recorder"
        )
    other = [name for name in inputs if name not in READ and not name.startswith(BOUNDS)]
    if other:
        raise ConfigError(
            f"The Trainer's batch has {', '.join(other)}, which the training set does not hold. Leave it out of "
            "the data set and of what the collator returns"
        )
    if shifted_BW is not None and not torch.equal(shifted_BW, pad(labels_BW, (0, 1), value=IGNORED)[:, 1:]):
        raise ConfigError(
            "The Trainer's batch has shift_labels that are not its labels, one place to the left. Leave them out"
        )
    tokens, labels = (value.detach().cpu().numpy() for value in (tokens_BW, labels_BW))
    if ((labels != IGNORED) & (labels != tokens)).any():
        raise ConfigError(
            "The Trainer's batch has labels that are neither its tokens nor -100. Pass the tokens as labels: the "
            "loss of a causal language model shifts them itself"
        )
    return tokens, labels


def _parts(inputs: Mapping[str, Any]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The row and the positions of each example of a batch, without padding."""
    tokens_BW, mask_BW, places_BW = (inputs.get(name) for name in ("input_ids", "attention_mask", "position_ids"))
    assert isinstance(tokens_BW, Tensor)
    if places_BW is not None and (not isinstance(places_BW, Tensor) or places_BW.shape != tokens_BW.shape):
        shape = tuple(getattr(places_BW, "shape", ()))
        raise ConfigError(
            f"The Trainer's batch has position_ids of shape {shape}, expected {tuple(tokens_BW.shape)}"
        )
    for row in range(len(tokens_BW)):
        places = None if places_BW is None else places_BW[row].cpu().numpy()
        parts = [np.arange(tokens_BW.shape[1])] if mask_BW is None else [_present(mask_BW, row)]
        if mask_BW is None and places is not None:
            starts = np.flatnonzero(places == 0)
            parts = [part for part in np.split(parts[0], starts[starts > 0]) if len(part) > 1]  # 0, 0: padding
        for part in parts:
            if places is not None and (places[part] != np.arange(len(part))).any():
                raise ConfigError(_PLACES if mask_BW is None else _SEEN)
            yield row, part


def _present(mask_BW: object, row: int) -> NDArray[np.int64]:
    """The positions of a row that are not masked."""
    present = mask_BW[row].cpu().numpy().astype(bool) if isinstance(mask_BW, Tensor) else np.zeros((1, 1))
    count = int(present.sum())
    if present.ndim != 1 or not present[:count].all():
        raise ConfigError(
            "The Trainer's batch is padded at the left, or has a mask of its own. Pad at the right: "
            "tokenizer.padding_side = 'right'"
        )
    return np.arange(count)


_PLACES = "The Trainer's batch has position_ids that do not count up from 0 in each example. Let them begin at 0"
_SEEN = (
    "The Trainer's batch has position_ids of several examples in a row, and an attention_mask, with which these "
    "see one another. Leave the mask out, as DataCollatorWithFlattening does, or do not pack"
)
