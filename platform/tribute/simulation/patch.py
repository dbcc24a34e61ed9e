"""Tail-patch: what one more training step on a source's own examples does to the parameters.

Legend: P parameters, S sources.
"""

import numpy as np
import torch
from torch import Tensor

from tribute.training import MicroBatch, Recipe, State, advance

EXAMPLES = 64


def patch_responses(recipe: Recipe, state: State, sources: tuple[int, ...]) -> Tensor:
    """theta - theta after one step on examples of each source alone, [S, P]: read out like any response.

    The step has at most `EXAMPLES`, the training's optimizer state, and the mean of its learning rates: under a
    decaying schedule the last rate would hardly move anything.

    Source: tail-patch of TrackStar, arXiv 2410.17413, at the level of sources.
    """
    rate, moved = float(recipe.schedule.rates.mean()), []
    for source in sources:
        own = np.flatnonzero(recipe.data.source_N == source)
        chosen = own[np.unique(np.linspace(0, len(own) - 1, min(EXAMPLES, len(own))).astype(int))]
        batch, _ = recipe.data.batch(chosen, recipe.device)
        weights = torch.ones(len(chosen), device=recipe.device)
        after = advance(recipe.task, recipe.rule, state, [MicroBatch(batch, weights)], rate, recipe.steps)
        moved.append(state.theta - after.theta)
    return torch.stack(moved)
