"""Attribution by patches of images, without a model: which training images a perfect denoiser would look at.

Legend: N training images, n of a block of them, G groups, Q queries, B query rows, CHW an image, A patches of
queries, U patches of a training image, d values in a patch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.membership import by_group, membership
from tribute.readout import QueryRows

ROWS = 16
"""Query rows whose patches are compared with everything at once."""
LOGITS = 2**23
"""Pairs of patches that are compared at once."""


@dataclass(frozen=True)
class Patches(Estimator):
    """Which images a perfect denoiser of the query would look at, patch by patch; sees no model.

    Sum over a query's patches of the weight that the group's patches get in denoising it; a pure number.

    A patch p of the noised query sqrt(abar) x + sqrt(1 - abar) eps is compared with every patch y of all training
    images: its weights are the softmax over them of -|p - sqrt(abar) y|^2 / (2 (1 - abar)), the posterior of the
    optimal denoiser. Never negative; over all training images the weights of a query sum to its number of patches.
    Labels play no part. Features are brought to [-1, 1], the extremes of the training set, as the paper's images.

    Departures: patches that reach over the border are left out (the paper pads, and keeps apart what is padded),
    and one noise level stands for the paper's mean over several. The same noise is drawn for every query.

    The softmax is over all images whatever the groups, so a query costs A N U d multiplications: far more than
    other estimators unless patches or images are few; `stride` cuts it by its fourth power.

    Source: arXiv 2510.14269.
    """

    model_free: ClassVar[bool] = True

    patch: int = 7
    """Side of a patch, pixels: a quarter of an MNIST image. The paper's grow with the noise, up to two thirds."""
    stride: int = 3
    """Pixels between patches, of queries and of training images; 1 is the paper's."""
    abar: float = 0.5
    """Share of the signal in the noised query's variance."""
    draws: int = 1
    """Noises drawn for every query, whose weights are averaged."""
    seed: int = 0
    """Of the noise."""
    shape: Sequence[int] = ()
    """Height and width, or channels, height and width; by default the column's own, or a square."""

    def __post_init__(self) -> None:
        if len(self.shape) not in (0, 2, 3) or self.seed < 0:
            raise ConfigError(
                "Estimator patches: shape is height and width, or channels before them, and seed at least 0; got "
                f"{list(self.shape)} and {self.seed}"
            )
        if min(self.patch, self.stride, self.draws) < 1 or not 0 < self.abar < 1:
            raise ConfigError(
                "Estimator patches: patch, stride and draws are at least 1, abar between 0 and 1; got "
                f"{self.patch}, {self.stride}, {self.draws} and {self.abar}"
            )

    def fit(self, trained: Trained) -> Kept:
        """The training set's smallest and largest feature.

        Raises:
            ConfigError: the training set has no features that are images of at least a patch.
        """
        if "features" not in trained.data.columns:
            raise ConfigError(
                "Estimator patches compares images in a column named features; the training set has "
                f"{', '.join(trained.data.columns)}. Use another estimator"
            )
        features = trained.data.columns["features"]
        shape = self._shape(features)
        if math.prod(shape) != features[0].size or min(shape[1:]) < self.patch:
            raise ConfigError(
                f"Estimator patches: {features[0].size} features are no images of {' x '.join(map(str, shape))} "
                f"pixels with patches of {self.patch}. Set shape: [height, width] and patch in its options"
            )
        return {"range": trained.theta_P.new_tensor([float(features.min()), float(features.max())])}

    def held(self, trained: Trained) -> int:
        """Next to nothing."""
        return 0

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """Who is in which group."""
        return membership(groups, trained.device)

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        found_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(gathered["size_G"]))
        for batch, query_B in queries.batches(ROWS, trained.device):
            image_BCHW = self._images(batch["features"], fitted)
            drawn = torch.Generator().manual_seed(self.seed)
            for _ in range(self.draws):
                noise = torch.randn(image_BCHW.shape[1:], generator=drawn, dtype=torch.float64).to(image_BCHW)
                noised = math.sqrt(self.abar) * image_BCHW + math.sqrt(1 - self.abar) * noise
                patch_BAd = self._patches(noised)
                weight_AG = self._weights(patch_BAd.flatten(0, 1), trained, fitted, gathered)
                found_QG.index_add_(0, query_B, weight_AG.view(*patch_BAd.shape[:2], -1).sum(1) / self.draws)
        return found_QG

    def _weights(self, asked_Ad: Tensor, trained: Trained, fitted: Kept, member: Kept) -> Tensor:
        """Softmax weights of all training patches summed by group, [A, G], in one pass over the images."""
        features = trained.data.columns["features"]
        peak_A1 = asked_Ad.new_full((len(asked_Ad), 1), -math.inf)
        total_A1, found_AG = torch.zeros_like(peak_A1), asked_Ad.new_zeros(len(asked_Ad), len(member["size_G"]))
        size = max(1, LOGITS // (len(asked_Ad) * self._locations(features)))
        for begin in range(0, len(features), size):
            block, _ = trained.data.batch(np.arange(begin, min(begin + size, len(features))), asked_Ad.device)
            patch_nUd = math.sqrt(self.abar) * self._patches(self._images(block["features"], fitted))
            known_Ud = patch_nUd.flatten(0, 1)
            logit_AU = asked_Ad @ known_Ud.T - known_Ud.square().sum(-1) / 2  # |p|^2 is common to all
            logit_AU /= 1 - self.abar
            new_A1 = torch.maximum(peak_A1, logit_AU.amax(1, keepdim=True))
            mass_An = (logit_AU - new_A1).exp_().view(len(asked_Ad), *patch_nUd.shape[:2]).sum(-1)
            shrunk_A1 = (peak_A1 - new_A1).exp()
            total_A1 = total_A1 * shrunk_A1 + mass_An.sum(1, keepdim=True)
            found_AG = found_AG * shrunk_A1 + by_group(mass_An, member, begin)
            peak_A1 = new_A1
        return found_AG / total_A1

    def _images(self, features: Tensor, fitted: Kept) -> Tensor:
        low, high = fitted["range"]
        image = (2 * features.to(low) - low - high) / (high - low)
        return image.reshape(len(features), *self._shape(features))

    def _patches(self, image_nCHW: Tensor) -> Tensor:
        return functional.unfold(image_nCHW, self.patch, stride=self.stride).transpose(1, 2)

    def _locations(self, features: NDArray) -> int:
        return math.prod((side - self.patch) // self.stride + 1 for side in self._shape(features)[1:])

    def _shape(self, features: NDArray | Tensor) -> tuple[int, int, int]:
        own = tuple(self.shape) or tuple(features.shape[1:])
        if len(own) == 1:
            own = (math.isqrt(own[0]),) * 2
        channels, height, width = (1, *own)[-3:]
        return channels, height, width
