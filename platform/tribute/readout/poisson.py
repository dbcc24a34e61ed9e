"""Which live uses are read out exactly: each is drawn on its own, the more rarely the more there were.

With c = n / 2, use t of size u_t is drawn with probability p_t = min(1, c u_t / U_t). U_t is the sum of all uses
so far; n is the number of uses that a month would need if it were drawn from at its end. Totals are then precise
enough at every moment: u_t^2 (1 - p_t) / p_t is u_t U_t / c - u_t^2, or 0. That is at most
(U_t^2 - U_{t-1}^2) / (2 c), and the variance of the totals is at most s^2 U_N^2 / (2 c) = s^2 U_N^2 / n for every
N, in any order of sizes; s^2 is the mean square of what a prediction misses. Of N equal uses, about
c (1 + ln(N / c)) are drawn.

Legend: Q uses.
"""

import os

import numpy as np
from numpy.typing import NDArray

from tribute.readout.distilled import PILOT_QUERIES

Array = NDArray[np.float64]
LEAST = 1e-6
"""Smallest probability, for uses of size 0 and for small ones after many."""


def draw_probability(needed: float, uses_Q: Array, before: float) -> Array:
    """Probabilities of reading out uses exactly, [Q]; fix them before `draw`.

    The first `PILOT_QUERIES` / 2 uses of equal size are all read out, whatever the precision: fewer would not tell
    how wrong the predictions are.

    Args:
        needed: see `Head`.
        uses_Q: weight over inclusion probability, in the order of the uses.
        before: sum of the month's uses before these.
    """
    half = max(needed, PILOT_QUERIES) / 2
    so_far_Q = np.maximum(before + np.cumsum(uses_Q), 1e-300)
    return np.clip(half * uses_Q / so_far_Q, LEAST, 1)


def draw(probability_Q: Array) -> NDArray[np.bool_]:
    """Draw each use on its own. Nobody can foresee it: the bits come from the operating system."""
    number_Q = np.frombuffer(os.urandom(8 * len(probability_Q)), np.uint64) >> np.uint64(11)
    return np.asarray(number_Q * 2.0**-53 < probability_Q)
