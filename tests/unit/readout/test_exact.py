"""Exact read-outs against a for-loop over sources and queries, against one another, and cut in every way."""

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.errors import ConfigError
from tribute.readout import METHODS, PerturbedModel, QueryRows, adjoint, difference, jvp, shared_trunk
from tribute.readout.perturbed import cut
from tribute.tasks import ByteLm, FlatTask, Scope

QUERY_OF_ROW = [0, 1, 1, 2, 3, 3]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


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


@pytest.mark.usefixtures("float64")
def test_difference_is_the_measurement_minus_its_value_without_the_source() -> None:
    recipe = small_recipe()
    theta = recipe.initial().theta
    responses = 0.1 * torch.randn(3, len(theta))
    rows = {"features": torch.randn(6, 4), "labels": torch.tensor([0, 1, 1, 0, 1, 0])}
    queries = QueryRows(tuple("abcd"), {k: v.numpy() for k, v in rows.items()}, torch.tensor(QUERY_OF_ROW).numpy())
    found = difference(PerturbedModel(Scope(recipe.task, "all"), theta, responses), queries)
    expected = torch.zeros(4, 3)
    for row, query in enumerate(QUERY_OF_ROW):
        one = {name: column[row : row + 1] for name, column in rows.items()}
        for source in range(3):
            change = recipe.task.measure(theta, one) - recipe.task.measure(theta - responses[source], one)
            expected[query, source] += change[0]
    torch.testing.assert_close(found.influence_QS, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scope", ["all", "last_block", "blocks.0"])
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_forward_mode_equals_backward_mode(dtype: torch.dtype, scope: str) -> None:
    torch.set_default_dtype(dtype)
    try:
        perturbed = transformer(dtype, scope)
        forward, backward = jvp(perturbed, texts()), adjoint(perturbed, texts())
        assert relative_error(forward.influence_QS, backward.influence_QS) < TOLERANCE[dtype]
        assert relative_error(forward.measurement_Q, backward.measurement_Q) < TOLERANCE[dtype]
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64")
def test_the_difference_of_a_small_step_tends_to_the_derivative() -> None:
    perturbed = transformer(torch.float64)
    slope = jvp(perturbed, texts()).influence_QS
    errors = []
    for step in (1e-2, 1e-3, 1e-4):
        small = PerturbedModel(perturbed.scope, perturbed.theta_P, step * perturbed.response_Sp)
        errors.append(relative_error(difference(small, texts()).influence_QS / step, slope))
    assert errors[0] > 5 * errors[1] > 25 * errors[2]  # first order: ten times smaller each
    assert errors[2] < 1e-3


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", list(METHODS))
def test_memory_budgets_change_only_rounding(name: str) -> None:
    perturbed = transformer(torch.float64, "last_block")
    whole = METHODS[name](perturbed, texts(), 1.0)
    budgets = [gib for gib in (3e-4, 5e-4, 1e-3, 3e-3) if name != "difference" or gib > 4e-4]
    cuts = {cut(perturbed, texts(), gib) for gib in budgets}
    assert len(cuts) > 1 and min(c.sources for c in cuts) < len(perturbed.response_Sp)
    for budget in budgets:
        found = METHODS[name](perturbed, texts(), budget)
        assert relative_error(found.influence_QS, whole.influence_QS) < 1e-12
        assert relative_error(found.measurement_Q, whole.measurement_Q) < 1e-12


@pytest.mark.usefixtures("float64")
def test_queries_do_not_depend_on_their_neighbours() -> None:
    perturbed, rows = transformer(torch.float64), texts()
    together = jvp(perturbed, rows).influence_QS
    for query in range(4):
        own = rows.query_N == query
        alone = QueryRows(("x",), {"tokens": rows.columns["tokens"][own]}, rows.query_N[own] * 0)
        torch.testing.assert_close(jvp(perturbed, alone).influence_QS[0], together[query], rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("float64")
def test_a_shared_trunk_changes_nothing() -> None:
    perturbed = transformer(torch.float64, "last_block")
    shared, whole = shared_trunk(perturbed, texts()), difference(perturbed, texts())
    assert relative_error(shared.influence_QS, whole.influence_QS) < 1e-12


def test_the_whole_model_has_no_trunk() -> None:
    with pytest.raises(ConfigError, match="narrow"):
        shared_trunk(transformer(torch.float32), texts())


def test_a_budget_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"readout\.memory_gib"):
        jvp(transformer(torch.float32), texts(), 1e-6)


@pytest.mark.parametrize("name", ["difference", "jvp", "adjoint"])
def test_no_response_is_no_influence_exactly(name: str) -> None:
    perturbed = transformer(torch.float32, size=0.0)
    assert torch.equal(METHODS[name](perturbed, texts(), 1.0).influence_QS, torch.zeros(4, 5))
