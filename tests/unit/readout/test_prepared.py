"""A prepared read-out against one made anew, and influences on tokens against loops over them."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.unit.readout.small import texts, transformer
from tribute.errors import ConfigError
from tribute.readout import METHODS, PreparedReadOut, QueryRows, cuts, read_out, tokens_of
from tribute.readout.block import softmax
from tribute.tasks import Classifier, FlatTask, Scope, token_measurements

CONTEXT, SOURCES, FAILED = 8, 4, 2
SCOPES = {"difference": ("all", "last_block"), "shared_trunk": ("last_block",), "jvp": ("all", "head")}
SCOPES["shared_head"] = SCOPES["shared_trunk"]
CASES = [(name, scope) for name in METHODS for scope in SCOPES.get(name, ("all", "last_block"))]


@pytest.fixture(autouse=True)
def whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tokens are followed exactly by the shared head."""
    monkeypatch.setattr(softmax, "TOP", 256)


def two_replicates(scope_name: str) -> tuple[Scope, list[Tensor], list[Tensor]]:
    """A small transformer, trained twice; a simulation of the second failed, a source of the first is still."""
    perturbed = transformer(torch.float64, scope_name, SOURCES)
    scope, theta_P, first = perturbed.scope, perturbed.theta_P, perturbed.response_Sp
    first[1], second = 0, first.flip(0).clone()
    second[FAILED] = torch.nan
    return scope, [theta_P, theta_P + 0.01 * torch.randn_like(theta_P)], [first, second]


def queries_of(query_of_row: list[int], seed: int) -> QueryRows:
    tokens = np.random.default_rng(seed).integers(0, 256, (len(query_of_row), CONTEXT + 1)).astype(np.int16)
    tokens[-1, 5:] = -1
    ids = tuple(map(str, range(max(query_of_row) + 1)))
    return QueryRows(ids, {"tokens": tokens}, np.array(sorted(query_of_row), dtype=np.int64))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("method", "scope_name"), CASES)
def test_a_prepared_read_out_is_the_same_as_one_made_anew(method: str, scope_name: str) -> None:
    models = two_replicates(scope_name)
    kept, made = (PreparedReadOut(method, *models, 1.0, kept_gib=gib) for gib in (None, 0))
    for seed, rows in enumerate(([0], [0, 0, 1, 2, 3, 3], [0, 1, 2])):
        queries = queries_of(rows, seed)
        anew = read_out(method, *models, queries)
        for prepared in (kept, made):
            for found, expected in zip(prepared.read(queries), anew, strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)
        assert anew[1].influence_QS[:, FAILED].isnan().all()
        assert anew[1].influence_QS.isnan().sum() == len(queries.query_ids)


@pytest.mark.usefixtures("float64")
@given(
    st.sampled_from([case for case in CASES if case[0] != "adjoint"]),
    st.lists(st.integers(0, 3), min_size=1, max_size=7),
    st.integers(0, 2**16),
    st.integers(0, 2**20),
)
@settings(max_examples=25)
def test_the_sizes_of_the_caches_change_only_rounding(case, query_of_row, rows_cache, ensemble_cache) -> None:
    """From one model and one row at a time to all at once."""
    method, scope_name = case
    models, queries = two_replicates(scope_name), queries_of(query_of_row, 0)
    expected = read_out(method, *models, queries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "ROW_BYTES", rows_cache)
        patch.setattr(cuts, "ENSEMBLE_BYTES", ensemble_cache)
        patch.setattr(cuts, "SHARED_BYTES", ensemble_cache)
        found = read_out(method, *models, queries)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)
    assert torch.equal(found[0].influence_QS[:, 1], torch.zeros(len(queries.query_ids)))


def test_a_row_is_costed_once_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    costed, cost = [], cuts.row_bytes
    monkeypatch.setattr(cuts, "row_bytes", lambda *given: costed.append(given) or cost(*given))
    prepared = PreparedReadOut("difference", *two_replicates("all"))
    for seed in range(3):
        prepared.read(queries_of([0, 1], seed))
    assert len(costed) == 2  # one for each replicate
    shorter = queries_of([0, 1], 0)
    prepared.read(QueryRows(shorter.query_ids, {"tokens": shorter.columns["tokens"][:, :4]}, shorter.query_N))
    assert len(costed) == 4


def at_token(scope: Scope, theta_P: Tensor, row: dict[str, Tensor], token: int) -> Tensor:
    return token_measurements(scope.task, scope.task.pieces(theta_P), row)[0, token]


def on_token(method: str, scope: Scope, theta_P: Tensor, change_P: Tensor, row: dict[str, Tensor], token: int):
    """Influence of one source on one token of one row."""
    if method in ("difference", "shared_trunk", "shared_head"):
        return at_token(scope, theta_P, row, token) - at_token(scope, theta_P - change_P, row, token)
    point_P = theta_P.clone().requires_grad_()
    [gradient_P] = torch.autograd.grad(at_token(scope, point_P, row, token), point_P)
    return gradient_P @ change_P


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("method", "scope_name"), CASES)
def test_influences_on_tokens_are_those_of_a_loop(method: str, scope_name: str) -> None:
    scope, thetas, responses = two_replicates(scope_name)
    queries = queries_of([0, 0, 1], 3)
    found_NTS = PreparedReadOut(method, scope, thetas, responses).read_tokens(queries)
    expected_RNTS = torch.zeros(2, 3, CONTEXT, SOURCES)
    for replicate, row, token, source in product(range(2), range(3), range(CONTEXT), range(SOURCES)):
        one = {name: torch.from_numpy(values[row : row + 1]) for name, values in queries.columns.items()}
        change_P = scope.lift(responses[replicate][source])
        influence = on_token(method, scope, thetas[replicate], change_P, one, token)
        expected_RNTS[replicate, row, token, source] = influence
    expected_RNTS[1, ..., FAILED] = torch.nan
    torch.testing.assert_close(found_NTS, expected_RNTS.nanmean(0), rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("method", "scope_name"), CASES)
def test_influences_on_tokens_add_up_to_those_on_queries(method: str, scope_name: str) -> None:
    prepared, queries = PreparedReadOut(method, *two_replicates(scope_name)), texts()
    by_query_QS = torch.stack([each.influence_QS for each in prepared.read(queries)]).nanmean(0)
    by_row_NS = prepared.read_tokens(queries).sum(1)
    summed_QS = torch.zeros_like(by_query_QS).index_add_(0, torch.from_numpy(queries.query_N), by_row_NS)
    torch.testing.assert_close(summed_QS, by_query_QS, rtol=1e-10, atol=1e-12)


def test_a_task_without_tokens_is_refused_by_name() -> None:
    task = FlatTask(Classifier(features=4, hidden=(3,), classes=3))
    rows = {"features": np.zeros((2, 4), np.float32), "labels": np.zeros(2, np.int64)}
    queries, scope = QueryRows(("a", "b"), rows, np.arange(2)), Scope(task, "all")
    prepared = PreparedReadOut("difference", scope, [task.initial(0)], [torch.zeros(2, task.size)])
    with pytest.raises(ConfigError, match=r"Classifier has no token_measurement.*write token_measurement"):
        prepared.read_tokens(queries)


def test_an_unknown_method_is_refused_with_the_names() -> None:
    task = FlatTask(Classifier(features=4, hidden=(3,), classes=3))
    with pytest.raises(ConfigError, match=r"'distilled' is no exact.*shared_trunk, shared_head, jvp"):
        PreparedReadOut("distilled", Scope(task, "all"), [], [])


def test_padding_costs_no_tokens() -> None:
    assert tokens_of(queries_of([0, 1, 1], 0)).tolist() == [9, 9, 5]
    vectors = QueryRows(("a",), {"features": np.zeros((2, 7)), "labels": np.zeros(2)}, np.zeros(2, np.int64))
    assert tokens_of(vectors).tolist() == [1, 1]
