"""Attribution by image patches without a model: the training images that an optimal denoiser uses.

Legend: N training images, n of a block of them, G groups, Q queries, B query rows, CHW an image, A patches of
queries, U patches of a training image, d values in a patch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tribute.corpus import Column, blocks
from tribute.errors import ConfigError
from tribute.estimators.estimator import ModelFree, NamedTensors, Trained, sum_by_group
from tribute.readout import QueryRows

ROWS = 4096
"""Images whose extremes are found at once."""


@dataclass(frozen=True)
class Patches(ModelFree):
    """Weight of training images in an optimal denoiser of the query, patch by patch; ignores the model.

    Sum over the patches of a query of the weight of the group's patches; dimensionless.

    A patch p of the noised query sqrt(abar) x + sqrt(1 - abar) eps is compared with each patch y of all training
    images. The weights are the softmax over y of -|p - sqrt(abar) y|^2 / (2 (1 - abar)), the posterior of the
    optimal denoiser. They are never negative; over all training images, the weights of a query sum to its number
    of patches. Labels are not used. Features are scaled to [-1, 1] by the extremes of the training set.

    Differences from the paper: patches that cross the border are omitted (the paper pads them and treats them
    separately), and one noise level replaces the mean over several. All queries get the same noise.

    The softmax runs over all images whatever the groups, so a query costs A N U d multiplications: far more than
    other estimators unless patches or images are few. A larger `stride` cuts the cost by its fourth power.

    Source: arXiv 2510.14269.
    """

    patch: int = 7
    """Side of a patch, pixels; 7 is a quarter of an MNIST image. In the paper it grows with the noise, up to two
    thirds."""
    stride: int = 3
    """Pixels between patches of queries and of training images; the paper uses 1."""
    abar: float = 0.5
    """Share of the signal in the noised query's variance."""
    draws: int = 1
    """Draws of noise for each query; weights are averaged."""
    seed: int = 0
    """Seed of the noise."""
    shape: Sequence[int] = ()
    """Height and width, or channels, height and width. Default: the shape of the column, or a square."""
    rows: int = 16
    """Query rows whose patches are compared with all training patches at once."""
    pairs: int = 2**23
    """Pairs of patches that are compared at once."""

    def __post_init__(self) -> None:
        if len(self.shape) not in (0, 2, 3) or self.seed < 0:
            raise ConfigError(
                f"patches: shape is {list(self.shape)} and seed {self.seed}. Set shape to [height, width] or "
                "[channels, height, width], and seed to at least 0"
            )
        if min(self.patch, self.stride, self.draws, self.rows, self.pairs) < 1 or not 0 < self.abar < 1:
            raise ConfigError(
                f"patches: patch is {self.patch}, stride {self.stride}, draws {self.draws}, rows {self.rows}, "
                f"pairs {self.pairs} and abar {self.abar}. Set abar between 0 and 1, and the others to at least 1"
            )

    def fit(self, trained: Trained) -> NamedTensors:
        """The smallest and largest feature of the training set.

        Raises:
            ConfigError: the features are missing, or are not images of at least the size of a patch.
        """
        if "features" not in trained.data.columns:
            raise ConfigError(
                "patches compares images in a column named features; the training set has "
                f"{', '.join(trained.data.columns)}. Use another estimator"
            )
        features = trained.data.columns["features"]
        shape = self._shape(features)
        if math.prod(shape) != features[0].size or min(shape[1:]) < self.patch:
            raise ConfigError(
                f"patches: {features[0].size} features are not an image of {' x '.join(map(str, shape))} pixels "
                f"with patches of {self.patch}. Set the options shape: [height, width] and patch"
            )
        ends = np.array([(block.min(), block.max()) for block in blocks(features, ROWS)], dtype=float)
        return {"range": trained.theta_P.new_tensor([ends[:, 0].min(), ends[:, 1].max()])}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        influence_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(gathered["size_G"]))
        for batch, query_B in queries.batches(self.rows, trained.device):
            image_BCHW = self._images(batch["features"], fitted)
            drawn = torch.Generator().manual_seed(self.seed)
            for _ in range(self.draws):
                noise = torch.randn(image_BCHW.shape[1:], generator=drawn, dtype=torch.float64).to(image_BCHW)
                noised = math.sqrt(self.abar) * image_BCHW + math.sqrt(1 - self.abar) * noise
                patch_BAd = self._patches(noised)
                weight_AG = self._weights(patch_BAd.flatten(0, 1), trained, fitted, gathered)
                influence_QG.index_add_(0, query_B, weight_AG.view(*patch_BAd.shape[:2], -1).sum(1) / self.draws)
        return influence_QG

    def _weights(self, query_Ad: Tensor, trained: Trained, fitted: NamedTensors, gathered: NamedTensors) -> Tensor:
        """Softmax weights of all training patches, summed by group, [A, G]; one pass over the images."""
        features = trained.data.columns["features"]
        peak_A1 = query_Ad.new_full((len(query_Ad), 1), -math.inf)
        total_A1, weight_AG = torch.zeros_like(peak_A1), query_Ad.new_zeros(len(query_Ad), len(gathered["size_G"]))
        size = max(1, self.pairs // (len(query_Ad) * self._locations(features)))
        for begin in range(0, len(features), size):
            block, _ = trained.data.batch(np.arange(begin, min(begin + size, len(features))), query_Ad.device)
            patch_nUd = math.sqrt(self.abar) * self._patches(self._images(block["features"], fitted))
            known_Ud = patch_nUd.flatten(0, 1)
            logit_AU = query_Ad @ known_Ud.T - known_Ud.square().sum(-1) / 2  # |p|^2 is common to all
            logit_AU /= 1 - self.abar
            new_A1 = torch.maximum(peak_A1, logit_AU.amax(1, keepdim=True))
            mass_An = (logit_AU - new_A1).exp_().view(len(query_Ad), *patch_nUd.shape[:2]).sum(-1)
            shrunk_A1 = (peak_A1 - new_A1).exp()
            total_A1 = total_A1 * shrunk_A1 + mass_An.sum(1, keepdim=True)
            weight_AG = weight_AG * shrunk_A1 + sum_by_group(mass_An, gathered, begin)
            peak_A1 = new_A1
        return weight_AG / total_A1

    def _images(self, features: Tensor, fitted: NamedTensors) -> Tensor:
        low, high = fitted["range"]
        image = (2 * features.to(low) - low - high) / (high - low)
        return image.reshape(len(features), *self._shape(features))

    def _patches(self, image_nCHW: Tensor) -> Tensor:
        return functional.unfold(image_nCHW, self.patch, stride=self.stride).transpose(1, 2)

    def _locations(self, features: Column) -> int:
        return math.prod((side - self.patch) // self.stride + 1 for side in self._shape(features)[1:])

    def _shape(self, features: Column | Tensor) -> tuple[int, int, int]:
        shape = tuple(self.shape) or tuple(features.shape[1:])
        if len(shape) == 1:
            shape = (math.isqrt(shape[0]),) * 2
        channels, height, width = (1, *shape)[-3:]
        return channels, height, width
