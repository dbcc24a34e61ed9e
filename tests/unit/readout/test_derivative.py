"""Derivatives in forward and backward mode, against each other and against small differences."""

import pytest
import torch

from tests.unit.readout.small import relative_error, texts, transformer
from tribute.readout import METHODS, PerturbedModel, QueryRows, adjoint, difference, jvp

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


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
def test_queries_do_not_depend_on_their_neighbours() -> None:
    perturbed, rows = transformer(torch.float64), texts()
    together = jvp(perturbed, rows).influence_QS
    for query in range(4):
        own = rows.query_N == query
        alone = QueryRows(("x",), {"tokens": rows.columns["tokens"][own]}, rows.query_N[own] * 0)
        torch.testing.assert_close(jvp(perturbed, alone).influence_QS[0], together[query], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["difference", "jvp", "adjoint"])
def test_no_response_is_no_influence_exactly(name: str) -> None:
    perturbed = transformer(torch.float32, size=0.0)
    assert torch.equal(METHODS[name](perturbed, texts(), 1.0).influence_QS, torch.zeros(4, 5))
