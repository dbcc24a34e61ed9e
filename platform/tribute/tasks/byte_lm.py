"""A byte-level GPT with pre-norm blocks, GELU and learned positions.

Attention is written out, so that it supports forward-mode derivatives and vmap over parameters.

Legend: B examples, T positions, D width, H heads, V tokens. A token of -1 is padding.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tribute.tasks.task import Batch, Model


class TransformerBlock(nn.Module):
    """One pre-norm transformer block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def attention(self, x_BTD: Tensor) -> Tensor:
        """Causal multi-head attention, [B, T, D] to [B, T, D]."""
        batch, length, width = x_BTD.shape
        heads = self.queries_keys_values(x_BTD).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        logits = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        future = x_BTD.new_full((length, length), -torch.inf).triu(1)
        mixed = (logits + future).softmax(-1) @ v
        return self.projection(mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.norm_attention(x_BTD))
        hidden = functional.gelu(self.expand(self.norm_mlp(x_BTD)))
        return x_BTD + self.contract(hidden)


class ByteGpt(nn.Module):
    """Bytes in, logits of the next byte out: [B, T] to [B, T, V]. Input and output embeddings are shared."""

    def __init__(self, context: int, width: int, heads: int, layers: int, vocabulary: int = 256) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(context, width))
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(tokens_BT) + self.positions[: tokens_BT.shape[1]]
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.norm(x_BTD) @ self.embedding.weight.T


@dataclass(frozen=True)
class ByteLm:
    """Language modelling of bytes, or of a tokenizer's tokens. A row is a window of context + 1; -1 is padding.

    Shapes: the column `tokens` is [N, context + 1], tokens from 0 to `vocabulary` - 1. The column `target`, bool
    of the same shape, says which tokens are predicted; without it, all but the first and padding.

    >>> task = tribute.ByteLm(context=8, width=8, heads=2, layers=1)
    >>> windows = {name: {"tokens": numpy.full((4, 9), ord(name))} for name in "ab"}
    >>> tribute.Study(task, windows).tokens
    (36, 36)
    """

    context: int = 64
    width: int = 48
    heads: int = 4
    layers: int = 2
    vocabulary: int = 256

    def build(self) -> nn.Module:
        """The transformer, freshly initialised."""
        return ByteGpt(self.context, self.width, self.heads, self.layers, self.vocabulary)

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        """Mean negative log-likelihood per predicted token of each window, [B], nats."""
        log_likelihood_BT, present_BT = _next_token(model, batch)
        return -log_likelihood_BT.sum(-1) / present_BT.sum(-1).clamp(min=1)

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        """Log-likelihood of all predicted tokens of each row, [Q], nats."""
        return self.token_measurement(model, queries).sum(-1)

    def token_measurement(self, model: Model, queries: Batch) -> Tensor:
        """Log-likelihood of each token but the first, given those before it; [Q, context], nats.

        It is 0 of padding, and of tokens that are not predicted.
        """
        log_likelihood_BT, _ = _next_token(model, queries)
        return log_likelihood_BT


def _next_token(model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
    tokens_BT = batch["tokens"].long()
    targets = tokens_BT[:, 1:]
    log_probabilities = model(tokens_BT[:, :-1].clamp(min=0)).log_softmax(-1)
    chosen = log_probabilities.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    predicted = targets >= 0
    if "target" in batch:
        predicted = predicted & batch["target"][:, 1:]
    present = predicted.to(chosen.dtype)
    return chosen * present, present
