"""The truth that estimates are judged by: really training again without a source.

Legend: P parameters, S sources, Q queries.
"""

import torch
from torch import Tensor

from tribute.readout import QueryRows, read_out
from tribute.tasks import Scope
from tribute.training import Recipe


def retrain(recipe: Recipe, without: int | None = None) -> Tensor:
    """Final parameters of a whole training under the recipe's seed, with one source absent, [P]."""
    weights_S = torch.ones(len(recipe.data.source_ids))
    if without is not None:
        weights_S[without] = 0
    return recipe.run(recipe.initial(), range(recipe.steps), weights_S).theta


def leave_one_out(recipe: Recipe, queries: QueryRows) -> Tensor:
    """f(theta; q) of the trained model minus f of the model retrained without each source, [Q, S], nats.

    It costs S + 1 trainings.
    """
    trained = retrain(recipe)
    removed = torch.stack([trained - retrain(recipe, source) for source in range(len(recipe.data.source_ids))])
    [found] = read_out(Scope(recipe.task, "all"), [trained], [removed], queries)
    return found.influence_QS
