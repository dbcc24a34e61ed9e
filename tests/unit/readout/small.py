"""A small transformer with responses, and queries of several rows."""

import torch

from tribute.readout import PerturbedModel, QueryRows
from tribute.tasks import ByteLm, FlatTask, Scope

QUERY_OF_ROW = [0, 1, 1, 2, 3, 3]


def transformer(dtype: torch.dtype, scope: str = "all", sources: int = 5, size: float = 0.02) -> PerturbedModel:
    task = FlatTask(ByteLm(context=8, width=8, heads=2, layers=2))
    generator = torch.Generator().manual_seed(1)
    theta = task.initial(0).to(dtype)
    narrow = Scope(task, scope)
    return PerturbedModel(narrow, theta, size * torch.randn(sources, narrow.size, generator=generator).to(dtype))


def texts() -> QueryRows:
    tokens = torch.randint(0, 256, (6, 9), generator=torch.Generator().manual_seed(2)).numpy()
    return QueryRows(("a", "b", "c", "d"), {"tokens": tokens}, torch.tensor(QUERY_OF_ROW).numpy())


def relative_error(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())
