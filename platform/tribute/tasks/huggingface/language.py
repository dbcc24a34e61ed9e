"""Causal language models.

Legend: B examples, Q queries, W tokens of a row, T = W - 1 predictions of a row, L positions with logits (T, or
fewer), V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.tasks.huggingface.head import log_likelihoods
from tribute.tasks.huggingface.options import HuggingFace
from tribute.tasks.modes import only_values_are_read, under_autocast
from tribute.tasks.task import Batch, Model


@dataclass(frozen=True)
class HuggingFaceLanguageModel(HuggingFace):
    """Language modelling by an `AutoModelForCausalLM`.

    Shapes: the column `tokens` is [N, W] whole numbers, with -1 for padding at the right. The column `target`,
    [N, W] bool, is optional: the tokens that are predicted, such as those of an answer, but not of its prompt.
    Without it all tokens but the first are.

    The model sees no attention mask: under causal attention, padding at the right reaches no prediction. Only a
    step under `torch.autocast` is repeated with the mask that a Trainer has, so that the same kernel rounds it.
    Logits are computed where some row of the batch has a target. Losses that couple rows, such as that of a
    router's balance, are left out.
    """

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        """Mean negative log-likelihood of the predicted tokens of each row, [B], nats; 0 if there are none."""
        value_BT, predicted_BT = _log_likelihoods(model, batch)
        return -value_BT.sum(-1) / predicted_BT.sum(-1).clamp(min=1)

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        """Log-likelihood of the predicted tokens of each row, [Q], nats."""
        return _log_likelihoods(model, queries)[0].sum(-1)

    def token_measurement(self, model: Model, queries: Batch) -> Tensor:
        """Log-likelihood of each token but the first, [Q, T], nats; 0 of those that are not predicted."""
        return _log_likelihoods(model, queries)[0]


def _log_likelihoods(model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
    """Log-likelihood of each token but the first, and whether it is predicted, [B, T] each."""
    tokens_BW = batch["tokens"].long()
    next_BT, predicted_BT = tokens_BW[:, 1:], tokens_BW[:, 1:] >= 0
    if "target" in batch:
        predicted_BT = predicted_BT & batch["target"][:, 1:].bool()
    kept_L = _positions(predicted_BT)
    chosen_BL, asked_BL = next_BT.clamp(min=0), predicted_BT
    if kept_L is not None:
        chosen_BL, asked_BL = chosen_BL[:, kept_L], asked_BL[:, kept_L]
    value_BL = log_likelihoods(lambda: _logits(model, tokens_BW[:, :-1], kept_L), chosen_BL, asked_BL)
    if kept_L is None:
        return torch.where(predicted_BT, value_BL, 0), predicted_BT
    value_BL = torch.where(asked_BL, value_BL, 0)
    empty_BT = value_BL.new_zeros(()).expand(predicted_BT.shape)
    return empty_BT.index_copy(1, kept_L, value_BL), predicted_BT


def _logits(model: Model, tokens_BT: Tensor, kept_L: Tensor | None) -> Tensor:
    """Logits, [B, L, V], in at least float32."""
    more: dict[str, Any] = {} if kept_L is None else {"logits_to_keep": kept_L.tolist()}  # a tensor may seem rows
    if under_autocast():
        more["attention_mask"] = (tokens_BT >= 0).long()
    outputs: Any = model(input_ids=tokens_BT.clamp(min=0), use_cache=False, **more)
    logits_BLV: Tensor = outputs.logits
    expected = tokens_BT.shape[1] if kept_L is None else len(kept_L)
    if logits_BLV.shape[1] != expected:
        raise ConfigError(
            f"The model gives logits of {logits_BLV.shape[1]} positions for {tokens_BT.shape[1]} tokens, expected "
            f"{expected}. Use a causal language model of the library transformers, without prompt tuning"
        )
    return logits_BLV.to(torch.promote_types(logits_BLV.dtype, torch.float32))


def _positions(predicted_BT: Tensor) -> Tensor | None:
    """Positions where some row has a target; None: all.

    All, where somebody reads the outputs, whose shape must not depend on the rows; and where every row is a
    dimension of `vmap`, in which values cannot be looked at.
    """
    if not only_values_are_read() or predicted_BT.is_meta or _is_mapped(predicted_BT):
        return None
    with torch._C._DisableFuncTorch():
        kept_L = _plain(predicted_BT).any(0).nonzero()[:, 0]
    return None if len(kept_L) == predicted_BT.shape[1] else kept_L


def _is_mapped(value: Tensor) -> bool:
    while torch._C._functorch.is_functorch_wrapped_tensor(value):
        if torch._C._functorch.is_batchedtensor(value):
            return True
        value = torch._C._functorch.get_unwrapped(value)
    return False


def _plain(value: Tensor) -> Tensor:
    """The tensor inside the wrappers of `grad` and `jvp`."""
    while torch._C._functorch.is_functorch_wrapped_tensor(value):
        value = torch._C._functorch.get_unwrapped(value)
    return value
