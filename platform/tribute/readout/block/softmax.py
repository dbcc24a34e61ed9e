"""How a change of hidden states changes the log-likelihoods of a linear head with softmax, beyond its derivative.

Legend: N positions, C sources, V vocabulary, D width, k tokens of a position with the highest probability, j drawn
from the others.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from tribute.readout.block.section import RecordedPass
from tribute.tasks import Model

TOP = 128
"""Tokens of a position whose probabilities are followed exactly; all of a smaller vocabulary."""
DRAWN = 128
"""Tokens drawn from the others, by which their spread is estimated."""
SAME = 1e-5
"""Largest part of the logits that a linear head may leave unexplained."""
POSITIONS = 64
"""Positions whose rows of the weight are gathered at once."""


class Likelihoods:
    """A model that keeps the largest tensor that it returns."""

    def __init__(self, model: Model) -> None:
        self._model, self.logits = model, torch.empty(0)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The outputs of the model."""
        outputs = self._model(*inputs, **options)
        for leaf in tree_leaves(outputs):
            if isinstance(leaf, Tensor) and leaf.numel() > self.logits.numel():
                self.logits = leaf.detach()
        return outputs


class SoftmaxHead(NamedTuple):
    """Logits z = W h + b, and measurements that are sums of z_y - logsumexp(z)."""

    weight_VD: Tensor
    bias_V: Tensor

    @classmethod
    def of(cls, values: Iterable[Tensor], hidden: Tensor, logits: Tensor) -> "SoftmaxHead | None":
        """The head that makes these logits [..., V] of hidden states [..., D], by a weight among some parameters.

        None: they are not a linear function of the hidden states.
        """
        for value in values:
            for weight_VD in (value, value.T) if value.dim() == 2 else ():
                if weight_VD.shape == (logits.shape[-1], hidden.shape[-1]):
                    rest = logits - hidden @ weight_VD.T
                    bias_V = rest.flatten(0, -2).mean(0)
                    if float((rest - bias_V).norm()) <= SAME * float(logits.norm()):
                        return cls(weight_VD, bias_V)
        return None

    def beyond(self, recorded: RecordedPass, change: Tensor) -> Tensor:
        """What `RecordedPass.along` misses of measurements that are sums of log-likelihoods, in its shape.

        Args:
            change: h - h without the source, [C, B, ..., D].
        """
        counted = recorded.slope.any(-1)  # a position without a target has no slope
        found = change.new_zeros(change.shape[:-1])
        found[:, counted] = self.beyond_derivative(recorded.hidden[counted], change[:, counted])
        kept = 1 + recorded.value.dim()
        return found.flatten(kept).sum(-1) if found.dim() > kept else found

    def beyond_derivative(self, hidden_ND: Tensor, change_CND: Tensor) -> Tensor:
        """What the derivative misses of f(h) - f(h - dh) at each position, [C, N], nats; never negative.

        With c = W dh less its mean under p = softmax(z), it is log E exp(-c). The k likeliest tokens are summed
        exactly. Of the others, mass and mean of c are known, and the second moment is estimated from some of
        them. So what is left is of third order in the unlikely tokens.
        """
        parts = [
            self._at(*piece)
            for piece in zip(hidden_ND.split(POSITIONS), change_CND.split(POSITIONS, 1), strict=True)
        ]
        return torch.cat(parts, 1)

    def _at(self, hidden_ND: Tensor, change_CND: Tensor) -> Tensor:
        p_NV = (hidden_ND @ self.weight_VD.T + self.bias_V).softmax(-1)
        mean_CN = torch.einsum("nd,cnd->cn", p_NV @ self.weight_VD, change_CND)
        top_Nk, index_Nk = p_NV.topk(min(TOP, p_NV.shape[1]), -1)
        c_CNk = self._along(index_Nk, change_CND) - mean_CN[..., None]
        beyond_CN = (top_Nk * (torch.expm1(-c_CNk) + c_CNk)).sum(-1)  # the mean of c over all tokens is 0
        if top_Nk.shape[1] < p_NV.shape[1]:
            tail_NV = p_NV.scatter(1, index_Nk, 0)
            c_CNj = self._along(_drawn(tail_NV), change_CND) - mean_CN[..., None]
            beyond_CN += tail_NV.sum(1) * c_CNj.square().mean(-1) / 2
        return beyond_CN.log1p()

    def _along(self, index_Nk: Tensor, change_CND: Tensor) -> Tensor:
        """Changes of some logits, [C, N, k]."""
        return (self.weight_VD[index_Nk] @ change_CND.permute(1, 2, 0)).permute(2, 0, 1)


def _drawn(tail_NV: Tensor) -> Tensor:
    """Tokens at evenly spaced quantiles of their probabilities, [N, j]."""
    places_j = (torch.arange(DRAWN, device=tail_NV.device, dtype=tail_NV.dtype) + 0.5) / DRAWN
    summed_NV = tail_NV.cumsum(1)
    wanted_Nj = summed_NV[:, -1:] * places_j
    return torch.searchsorted(summed_NV, wanted_Nj).clamp(max=tail_NV.shape[1] - 1)
