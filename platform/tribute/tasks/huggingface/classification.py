"""Classifiers of texts and of images.

Legend: B examples, Q queries, W tokens of a row, C classes; an image has K channels, H rows and W columns.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.tasks.classifier import class_measurement
from tribute.tasks.huggingface.options import HuggingFace, library
from tribute.tasks.task import Batch, Model

HIDDEN = -1e30
"""Added to the attention to a padding token: 0 after the softmax, and finite in bfloat16."""


@dataclass(frozen=True)
class HuggingFaceClassifier(HuggingFace):
    """Cross-entropy of the column `labels`, [N] whole numbers from 0; the other columns are the model's inputs."""

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        """Cross-entropy of each example, [B], nats."""
        return functional.cross_entropy(self._logits(model, batch), batch["labels"].long(), reduction="none")

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        """Margin of the true class over all others, or its log-likelihood, [Q], nats."""
        return class_measurement(self._logits(model, queries), queries["labels"], self.measure or "margin")

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """Arguments of the model."""
        raise NotImplementedError

    @cached_property
    def config(self) -> Any:
        """The config of the model."""
        return library("loading").config_of(self)

    def build(self) -> nn.Module:
        """The model; its config is read before derivatives are taken, inside which no model can be made."""
        assert self.config is not None
        return super().build()

    def _logits(self, model: Model, batch: Batch) -> Tensor:
        outputs: Any = model(**self.inputs(batch))
        logits_BC: Tensor = outputs.logits
        return logits_BC.to(torch.promote_types(logits_BC.dtype, torch.float32))


@dataclass(frozen=True)
class HuggingFaceTexts(HuggingFaceClassifier):
    """Classification of texts by an `AutoModelForSequenceClassification`.

    Shapes: the columns are `tokens`, [N, W] whole numbers with -1 for padding at the right, and `labels`, [N].

    An encoder gets a mask of four dimensions, which transformers takes as it is: a mask of two is looked at in
    ways that per-example gradients do not allow. A decoder gets none, and finds a row's last token by the padding
    token of its config.
    """

    @cached_property
    def is_masked(self) -> bool:
        """Whether the model is an encoder, whose attention must be kept from padding."""
        return bool(library("loading").is_encoder(self))

    def build(self) -> nn.Module:
        """The model; whether it is an encoder is found before derivatives are taken."""
        assert self.is_masked in (True, False)
        return super().build()

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """Tokens, and the mask of an encoder."""
        tokens_BW = batch["tokens"].long()
        present_BW = tokens_BW >= 0
        padding = getattr(self.config.get_text_config(), "pad_token_id", None) or 0
        given: dict[str, Any] = {"input_ids": torch.where(present_BW, tokens_BW, padding)}
        if not self.is_masked:
            return given | {"use_cache": False}
        return given | {"attention_mask": attention_mask(present_BW, getattr(torch, self.dtype))}


def attention_mask(present_BW: Tensor, dtype: torch.dtype) -> Tensor:
    """What an encoder adds to its attention, [B, 1, W, W]: 0 to a token, `HIDDEN` to padding."""
    hidden_BW = torch.where(present_BW, 0.0, HIDDEN).to(dtype)
    return hidden_BW[:, None, None, :].expand(-1, 1, present_BW.shape[1], -1)


@dataclass(frozen=True)
class HuggingFaceImages(HuggingFaceClassifier):
    """Classification of images by an `AutoModelForImageClassification`.

    Shapes: the columns are `features`, [N, K H W] (channel, row, column), preprocessed, and `labels`, [N].
    """

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """Images, [B, K, H, W].

        Raises:
            ConfigError: the number of features is not that of the config's images.
        """
        features = batch["features"]
        channels, size = getattr(self.config, "num_channels", 3), getattr(self.config, "image_size", None)
        if size is None:
            side = math.isqrt(features.shape[1] // channels)
            size = (side, side)
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        if channels * height * width != features.shape[1]:
            raise ConfigError(
                f"An example has {features.shape[1]} features, but the model takes images of {channels} x "
                f"{height} x {width} = {channels * height * width}. Resize the images"
            )
        dtype = getattr(torch, self.dtype)
        return {"pixel_values": features.reshape(-1, channels, height, width).to(dtype)}
