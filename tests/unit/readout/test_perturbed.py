"""Reading out in pieces, within a memory budget."""

import pytest
import torch

from tests.unit.readout.small import relative_error, texts, transformer
from tribute.errors import ConfigError
from tribute.readout import METHODS, jvp
from tribute.readout.cuts import Cuts


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", list(METHODS))
def test_memory_budgets_change_only_rounding(name: str) -> None:
    perturbed = transformer(torch.float64, "last_block")
    whole = METHODS[name](perturbed, texts(), 1.0)
    budgets = [gib for gib in (3e-4, 5e-4, 1e-3, 3e-3) if name != "difference" or gib > 4e-4]
    cuts = {Cuts(perturbed, gib).cut(texts()) for gib in budgets}
    assert len(cuts) > 1 and min(c.sources for c in cuts) < len(perturbed.response_Sp)
    for budget in budgets:
        found = METHODS[name](perturbed, texts(), budget)
        assert relative_error(found.influence_QS, whole.influence_QS) < 1e-12
        assert relative_error(found.measurement_Q, whole.measurement_Q) < 1e-12


def test_a_budget_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"readout\.memory_gib"):
        jvp(transformer(torch.float32), texts(), 1e-6)
