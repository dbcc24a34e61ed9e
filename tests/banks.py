"""A bank whose retrained values are known: every example adds its own effect to every query."""

import numpy as np
from numpy.typing import NDArray

from tribute.evaluation.bank import BankSettings, RetrainBank

EXAMPLES, QUERIES, HALVES, PERCENTS, SINGLES = 60, 9, 24, 20, 15
SEEDS = (0, 1, 2)
"""Seeds of the trainings; estimates are of the first."""


def linear_bank(noise: float = 0.0) -> tuple[RetrainBank, NDArray[np.float64]]:
    """A bank, and each example's effect on each query, [N, Q] nats.

    Args:
        noise: standard deviation that a seed adds to a measurement, in nats.
    """
    rng = np.random.default_rng(0)
    effect_NQ = rng.normal(size=(EXAMPLES, QUERIES))
    halves = [rng.permutation(EXAMPLES) < EXAMPLES // 2 for _ in range(HALVES)]
    percents = [rng.permutation(EXAMPLES) >= 2 for _ in range(PERCENTS)]
    singles = [np.arange(EXAMPLES) != i for i in range(SINGLES)]
    rows = [(kept, "half", seed) for kept in halves for seed in SEEDS]
    rows += [(kept, "percent", SEEDS[0]) for kept in percents]
    rows += [(kept, kind, SEEDS[0]) for kind in ("leave_one_out", "deleted") for kept in singles]
    kept_MN = np.array([kept for kept, _, _ in rows])
    settings = BankSettings(
        name="linear",
        description="Effects of examples add up.",
        command="make bench NAME=canonical SETTING=linear REBUILD=1",
        own_seed=SEEDS[0],
        examples=EXAMPLES,
        queries=QUERIES,
        hyperparameters={"learning_rate": 0.01, "layers": [8, 4]},
    )
    measured_MQ = kept_MN @ effect_NQ + noise * rng.normal(size=(len(rows), QUERIES))
    return RetrainBank(
        settings,
        kept_MN,
        np.array([kind for _, kind, _ in rows]),
        np.array([seed for _, _, seed in rows]),
        measured_MQ,
        np.tile(effect_NQ.sum(0), (len(SEEDS), 1)),
        np.array(SEEDS),
    ), effect_NQ
