"""Sequential Monte Carlo over the unit cube: particles drawn from a uniform prior and a likelihood.

The likelihood is raised from power 0 to 1 in steps that leave half of the particles effective; after each step the
particles are drawn again by weight and moved by Metropolis steps. Source: Del Moral, Doucet and Jasra 2006.
Legend: H particles, D dimensions, U values of a variable that is summed over.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PARTICLES = 400
MOVES = 3
"""Metropolis steps of every particle at each power."""
WIDTHS = (0.3, 1.0)
"""Widths of a step, in standard deviations of the particles."""


def sample(
    log_density: Callable[[Array], Array], dimensions: int, rng: np.random.Generator, single: int = 0
) -> tuple[Array, Array]:
    """Equally weighted particles, [H, D] in 0 to 1, and the log densities of each, [H, U].

    Args:
        log_density: of particles [H, D], by the values of the variable that is summed over, [H, U].
        single: so many further dimensions, which have to do with one observation each. A step draws about one of
            them anew.
    """
    place_HD = rng.random((PARTICLES, dimensions + single))
    fit_HU, power = log_density(place_HD), 0.0
    while power < 1:
        total_H = log_sum(fit_HU)
        step = _next_step(total_H, 1 - power)
        power += step
        weight_H = np.exp(step * (total_H - total_H.max()))
        drawn_H = _systematic(weight_H / weight_H.sum(), rng)
        place_HD, fit_HU = place_HD[drawn_H], fit_HU[drawn_H]
        for _ in range(MOVES):
            width_HD = place_HD.std(0) * rng.choice(WIDTHS, (PARTICLES, 1))
            moved_HD = _reflected(place_HD + width_HD * rng.standard_normal(place_HD.shape))
            if single:
                anew_HK = rng.random((PARTICLES, single)) < 1 / single
                drawn_HK = rng.random((PARTICLES, single))
                moved_HD[:, dimensions:] = np.where(anew_HK, drawn_HK, place_HD[:, dimensions:])
            moved_HU = log_density(moved_HD)
            gain_H = power * (log_sum(moved_HU) - log_sum(fit_HU))
            taken_H = np.log(rng.random(PARTICLES)) < gain_H
            place_HD[taken_H], fit_HU[taken_H] = moved_HD[taken_H], moved_HU[taken_H]
    return place_HD, fit_HU


def log_sum(log_HU: Array) -> Array:
    """Logarithm of the sum over the last axis, [H]."""
    top_H = log_HU.max(1)
    return np.asarray(top_H + np.log(np.exp(log_HU - top_H[:, None]).sum(1)))


def _reflected(place_HD: Array) -> Array:
    """Places outside the cube, mirrored at its walls: the proposal stays symmetric."""
    return np.asarray(1 - np.abs(1 - np.abs(place_HD) % 2))


def _next_step(total_H: Array, largest: float) -> float:
    """The rise of the temperature, at most `largest`, that leaves half of the particles effective."""

    def effective(step: float) -> bool:
        weight_H = np.exp(step * (total_H - total_H.max()))
        return bool(weight_H.sum() ** 2 >= len(total_H) / 2 * np.square(weight_H).sum())

    if effective(largest):
        return largest
    low, high = 0.0, largest
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if effective(middle) else (low, middle)
    return high


def _systematic(weight_H: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    place_H = (rng.random() + np.arange(len(weight_H))) / len(weight_H)
    return np.searchsorted(np.cumsum(weight_H), place_H).clip(0, len(weight_H) - 1)
