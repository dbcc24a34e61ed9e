"""How a change of hidden states changes the log-likelihoods of a linear head with softmax, beyond its derivative.

Legend: N positions, C sources, V vocabulary, D width, k tokens of a position with the highest probability, j drawn
from the others, J = k + j. c is the change of a logit less the mean of all changes under the probabilities.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from tribute.readout.block.find import same
from tribute.readout.block.section import RecordedPass

TOP = 128
"""Tokens of a position whose probabilities are followed exactly; all of a smaller vocabulary."""
DRAWN = 128
"""Tokens drawn from the others, which stand for all of them."""
SAME = 1e-5
"""Largest part of the logits that a linear head may leave unexplained."""
GATHERED = 2**23
"""Numbers of the weight, and of logits by source, that are made at once."""


class Followed(NamedTuple):
    """Tokens of the positions of a pass, by which a change of its hidden states is followed.

    ``counted``: the positions that have a target, of all. ``mean_ND``: the mean row of the weight. ``index_NJ``:
    the tokens. ``share_NJ``: the probability that each stands for; they add up to 1.
    """

    counted: Tensor
    mean_ND: Tensor
    index_NJ: Tensor
    share_NJ: Tensor


class SoftmaxHead(NamedTuple):
    """Logits z = W h + b, W [V, D], and measurements that are sums of z_y - logsumexp(z)."""

    weight_VD: Tensor

    @classmethod
    def of(cls, values: Iterable[Tensor], recorded: RecordedPass, logits: Tensor) -> "SoftmaxHead | None":
        """The head that makes the logits [..., V] of a pass, by a weight [V, D] among some parameters.

        None: they are not a linear function of the hidden states, or measurements are not what they should be.
        """
        places = _counted(recorded)
        if places is None:
            return None
        hidden_ND, logits_NV = recorded.hidden[places.of_hidden], logits[places.of_logits]
        target_N1 = places.by_logits_NV.argmax(-1, keepdim=True)
        expected_NV = (-logits_NV.softmax(-1)).scatter_add_(1, target_N1, torch.ones_like(logits_NV[:, :1]))
        if not same(places.by_logits_NV, expected_NV):
            return None
        for value in values:
            for weight_VD in (value, value.T) if value.dim() == 2 else ():
                if weight_VD.shape == (logits_NV.shape[1], hidden_ND.shape[1]):
                    rest_NV = logits_NV - hidden_ND @ weight_VD.T
                    if float((rest_NV - rest_NV.mean(0)).norm()) <= SAME * float(logits_NV.norm()):
                        return cls(weight_VD)
        return None

    def follow(self, recorded: RecordedPass) -> Followed | None:
        """The tokens to follow of a pass that recorded the gradient by logits; None: positions cannot be told.

        That gradient is 1 at the target, less the probabilities; times the weight it is the gradient by h. So
        probabilities and their mean row are known without the head.
        """
        places = _counted(recorded)
        if places is None:
            return None
        p_NV = places.by_logits_NV
        target_N1 = p_NV.argmax(-1, keepdim=True)
        p_NV = p_NV.neg_().scatter_add_(1, target_N1, torch.ones_like(p_NV[:, :1]))
        mean_ND = self.weight_VD[target_N1[:, 0]] - recorded.slope[places.of_hidden]
        top_Nk, index_Nk = p_NV.topk(min(TOP, p_NV.shape[1]), -1)
        if top_Nk.shape[1] == p_NV.shape[1]:
            return Followed(places.of_hidden, mean_ND, index_Nk, top_Nk)
        drawn_Nj, share_N1 = _drawn(p_NV.scatter_(1, index_Nk, 0))
        share_NJ = torch.cat([top_Nk, share_N1.expand_as(drawn_Nj)], 1)
        return Followed(places.of_hidden, mean_ND, torch.cat([index_Nk, drawn_Nj], 1), share_NJ)

    def beyond(self, recorded: RecordedPass, followed: Followed, change: Tensor) -> Tensor:
        """What `RecordedPass.along` misses of measurements that are sums of log-likelihoods, in its shape.

        Args:
            change: h - h without the source, [C, B, ..., D].
        """
        found = change.new_zeros(change.shape[:-1])
        found[:, followed.counted] = self.beyond_derivative(followed, change[:, followed.counted])
        kept = 1 + recorded.value.dim()
        return found.flatten(kept).sum(-1) if found.dim() > kept else found

    def beyond_derivative(self, followed: Followed, change_CND: Tensor) -> Tensor:
        """What the derivative misses of f(h) - f(h - dh) at each position, [C, N], nats; never negative.

        With c = W dh less its mean under p = softmax(z), it is log E exp(-c) = log(1 + E[exp(-c) - 1 + c]). The k
        likeliest tokens are summed exactly; j of the others stand for all of these.
        """
        sources, _, width = change_CND.shape
        numbers = followed.index_NJ.shape[1] * (width + 4 * sources)
        largest = max(1, GATHERED // numbers)
        pieces = (tensor.split(largest) for tensor in followed[1:])
        parts = [self._at(*piece) for piece in zip(change_CND.split(largest, 1), *pieces, strict=True)]
        return torch.cat(parts, 1)

    def _at(self, change_CND: Tensor, mean_ND: Tensor, index_NJ: Tensor, share_NJ: Tensor) -> Tensor:
        change_NDC = change_CND.permute(1, 2, 0)
        c_NJC = self.weight_VD[index_NJ] @ change_NDC - mean_ND[:, None] @ change_NDC
        beyond_NC = (share_NJ[:, None] @ (torch.expm1(-c_NJC) + c_NJC))[:, 0]
        return beyond_NC.log1p().T


class _Counted(NamedTuple):
    """The positions that have a target, of hidden states and of logits, and the gradient by logits there."""

    of_hidden: Tensor
    of_logits: Tensor
    by_logits_NV: Tensor


def _counted(recorded: RecordedPass) -> _Counted | None:
    """The positions that count; None: hidden states and logits are not those of the same positions.

    A model may return logits of some positions alone. Those are the ones at which hidden states count.
    """
    by_logits, hidden = recorded.by_logits, recorded.hidden
    if by_logits is None or by_logits.shape[0] != hidden.shape[0] or by_logits.dim() != hidden.dim():
        return None
    of_logits = by_logits.any(-1)
    of_hidden = of_logits
    if of_logits.shape != hidden.shape[:-1]:
        if hidden.dim() != 3:
            return None
        given_L, wanted_T = of_logits.any(0), recorded.slope.any(-1).any(0)
        if given_L.sum() != wanted_T.sum():
            return None
        of_hidden = of_logits.new_zeros(hidden.shape[:-1])
        of_hidden[:, wanted_T] = of_logits[:, given_L]
    return _Counted(of_hidden, of_logits, by_logits[of_logits]) if of_logits.any() else None


def _drawn(tail_NV: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens at evenly spaced quantiles of their probabilities, [N, j], and what each stands for, [N, 1]."""
    places_j = (torch.arange(DRAWN, device=tail_NV.device, dtype=tail_NV.dtype) + 0.5) / DRAWN
    summed_NV = tail_NV.cumsum(1)
    wanted_Nj = summed_NV[:, -1:] * places_j
    found_Nj = torch.searchsorted(summed_NV, wanted_Nj).clamp(max=tail_NV.shape[1] - 1)
    return found_Nj, summed_NV[:, -1:] / DRAWN
