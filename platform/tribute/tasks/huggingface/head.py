"""Log-likelihoods of chosen tokens by the head of a language model, without all logits at once.

Under plain autograd the head is asked for log-likelihoods of some tokens, and gives them in place of logits. It
computes them in chunks over positions, and only where a token is predicted.

Legend: B rows, L positions of a row, N positions with a predicted token in all rows, D width, V vocabulary.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tribute.tasks.modes import recomputation_allowed
from tribute.tasks.transforms import in_transform

MAX_LOGITS = 2**22
"""Logits that are computed at once; batches with fewer are not cut."""


@dataclass
class Question:
    """The tokens whose log-likelihoods are asked for, [B, L], where they are asked for, and the answer, [B, L, 1].

    ``head`` is the layer that answered.
    """

    chosen: Tensor
    asked: Tensor
    answer: Tensor | None = None
    head: nn.Module | None = None

    def fits(self, hidden: Tensor, head: nn.Linear) -> bool:
        """Whether these hidden states are those of the tokens, and so many that cutting saves memory."""
        return hidden.shape[:-1] == self.chosen.shape and self.chosen.numel() * head.out_features > MAX_LOGITS


_QUESTION = ContextVar[Question | None]("question", default=None)


def answer_questions(model: Any) -> None:
    """Let the head of a language model answer questions, if it is a plain linear layer."""
    head = model.get_output_embeddings()
    if type(head) is nn.Linear:
        head.forward = MethodType(_forward, head)  # type: ignore[method-assign]


def log_likelihoods(logits_of: Callable[[], Tensor], chosen_BL: Tensor, asked_BL: Tensor) -> Tensor:
    """Log-likelihood of each chosen token, [B, L], nats; where it is not asked for, it may be anything.

    Args:
        logits_of: runs the model and gives its logits, [B, L, V].
    """
    if recomputation_allowed():
        question = Question(chosen_BL, asked_BL)
        with _asking(question):
            given = logits_of()
        if given is question.answer:
            return given[..., 0]
        if question.head is None:
            return _of_logits(given, chosen_BL)
        vars(question.head)["silent"] = True  # the model changes what its head gives: scales it, or caps it
    return _of_logits(logits_of(), chosen_BL)


@contextmanager
def _asking(question: Question) -> Iterator[None]:
    token = _QUESTION.set(question)
    try:
        yield
    finally:
        _QUESTION.reset(token)


def _forward(head: nn.Linear, hidden: Tensor) -> Tensor:
    """Logits, [B, L, V]; or the answer to the question that is asked."""
    question = _QUESTION.get()
    mapped = in_transform()
    if question is None or mapped or "silent" in vars(head) or not question.fits(hidden, head):
        return functional.linear(hidden, head.weight, head.bias)
    where_N = question.asked.flatten().nonzero()[:, 0]
    value_N = _answered(head, hidden.flatten(0, -2)[where_N], question.chosen.flatten()[where_N])
    flat = value_N.new_zeros(question.asked.numel()).index_copy(0, where_N, value_N)
    question.head, question.answer = head, flat.view(*question.asked.shape, 1)
    return question.answer


def _answered(head: nn.Linear, hidden_ND: Tensor, chosen_N: Tensor) -> Tensor:
    """Log-likelihoods in chunks; a head that learns computes its logits again in the backward pass."""
    size, weight, bias = max(1, MAX_LOGITS // head.out_features), head.weight, head.bias
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    if not learns and torch.is_grad_enabled():
        found: Tensor = _FrozenHead.apply(hidden_ND, weight, bias, chosen_N, size)
        return found
    parts = zip(hidden_ND.split(size), chosen_N.split(size), strict=True)
    return torch.cat(
        [checkpoint(_of_hidden, part, weight, bias, chosen, use_reentrant=False) for part, chosen in parts]
    )


def _of_hidden(hidden_ND: Tensor, weight: Tensor, bias: Tensor | None, chosen_N: Tensor) -> Tensor:
    return _of_logits(_wide(functional.linear(hidden_ND, weight, bias)), chosen_N)


def _of_logits(logits: Tensor, chosen: Tensor) -> Tensor:
    return logits.gather(-1, chosen[..., None])[..., 0] - logits.logsumexp(-1)


def _wide(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


class _FrozenHead(torch.autograd.Function):
    """Log-likelihoods, [N], whose gradient by hidden states is computed beside them: no logits are kept.

    d value / d hidden = weight[chosen] - softmax(logits) weight.
    """

    @staticmethod
    def forward(
        context: Any, hidden_ND: Tensor, weight: Tensor, bias: Tensor | None, chosen_N: Tensor, size: int
    ) -> Tensor:
        values, slopes = [], []
        for part, chosen in zip(hidden_ND.split(size), chosen_N.split(size), strict=True):
            logits = _wide(functional.linear(part, weight, bias))
            spread = logits.logsumexp(-1, keepdim=True)
            values.append((logits.gather(-1, chosen[:, None]) - spread)[:, 0])
            error = logits.sub_(spread).exp_().neg_()
            error.scatter_add_(1, chosen[:, None], torch.ones_like(spread))
            slopes.append(error.to(weight.dtype) @ weight)
        context.save_for_backward(torch.cat(slopes))
        return torch.cat(values)

    @staticmethod
    def backward(context: Any, slope_N: Tensor) -> Any:
        [slope_ND] = context.saved_tensors
        return (slope_N[:, None] * slope_ND).to(slope_ND.dtype), None, None, None, None
