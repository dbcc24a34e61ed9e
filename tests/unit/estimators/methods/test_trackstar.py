"""TrackStar against dense matrices and loops, and a copy of the query that it has to find."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.estimators.small import (
    additive,
    loss_gradient,
    query_gradient,
    small_queries,
    small_training,
    sources,
)
from tests.unit.estimators.text import COPIED, few_texts, text_training
from tribute.errors import ConfigError
from tribute.estimators import Groups, Trained, build_estimator, most_influential
from tribute.estimators.methods.trackstar import TrackStar
from tribute.estimators.projection import BlockProjection
from tribute.readout import QueryRows
from tribute.tasks import joined


def second_moment(trained: Trained) -> Tensor:
    """Adam's, as an optimizer of torch would have it; else the mean square of the examples' gradients."""
    if trained.recipe.training.optimizer == "sgd":
        every = range(len(trained.data))
        return torch.stack([loss_gradient(trained.recipe, trained.theta_P, i) ** 2 for i in every]).mean(0)
    settings = trained.recipe.training
    return joined(trained.final.slots[1]) / (1 - settings.betas[1] ** trained.steps) + settings.eps_root


def own_rows(trained: Trained) -> QueryRows:
    """Every training example as a query."""
    count = len(trained.data)
    return QueryRows(tuple(map(str, range(count))), trained.data.columns, np.arange(count))


def naive(trained: Trained, estimator: TrackStar, queries: QueryRows, mixing: float | None) -> Tensor:
    """[Q, N], with one dense projection [P, d] and one dense R [d, d]."""
    recipe, theta_P, every = trained.recipe, trained.theta_P, range(len(trained.data))
    blocks = BlockProjection(trained.task.shapes.values(), estimator.rank, estimator.seed, estimator.entries)
    random_Pd = torch.cat(blocks(torch.eye(trained.task.size)), 1) / second_moment(trained).sqrt()[:, None]
    loss_Nd = torch.stack([loss_gradient(recipe, theta_P, i) for i in every]) @ random_Pd
    own_Nd = torch.stack([query_gradient(recipe, theta_P, own_rows(trained), i) for i in every]) @ random_Pd
    asked = [query_gradient(recipe, theta_P, queries, q) for q in range(len(queries.query_ids))]
    owner = torch.repeat_interleave(torch.arange(len(blocks.sizes)), torch.tensor(blocks.sizes))
    same_dd = (owner[:, None] == owner).to(loss_Nd)
    train_dd, eval_dd = (x.T @ x / len(x) * same_dd for x in (loss_Nd, own_Nd))
    if mixing is None:
        at = int(np.ceil(estimator.common * len(owner))) - 1
        at_train, at_eval = (torch.linalg.eigvalsh(x).flip(0)[at] for x in (train_dd, eval_dd))
        mixing = float(at_train / (at_train + at_eval))
    mixed_dd = mixing * eval_dd + (1 - mixing) * train_dd
    mean_d = (same_dd @ mixed_dd.diagonal()) / same_dd.sum(1)
    value_d, vector_dd = torch.linalg.eigh(mixed_dd + estimator.damping * mean_d.diag())
    root_dd = vector_dd @ value_d.rsqrt().diag() @ vector_dd.T
    unit = torch.nn.functional.normalize
    return unit(torch.stack(asked) @ random_Pd @ root_dd) @ unit(-loss_Nd @ root_dd).T


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(
    "options",
    [{}, {"rank": 3, "seed": 5}, {"rank": 2, "mixing": 0.7, "entries": "gaussian"}, {"mixing": 0.0}],
)
def test_sources_are_the_sum_of_their_examples(options: dict, optimizer: str, tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path, optimizer=optimizer), TrackStar(**options)
    fitted = estimator.fit(trained)
    gathered = estimator.gather(trained, fitted, sources(trained))
    found = estimator.influence(trained, fitted, gathered, small_queries())
    expected = additive(trained, naive(trained, estimator, small_queries(), estimator.mixing))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("source", [0, 1, 2])
def test_a_copy_of_the_query_is_found_first(optimizer: str, source: int, tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path, optimizer=optimizer), TrackStar(rank=4)
    copied = Groups.of_sources(trained.data, [source]).members(0)[::3]
    columns = {name: values[copied] for name, values in trained.data.columns.items()}
    queries = QueryRows(tuple(map(str, copied)), columns, np.arange(len(copied)))
    found = most_influential(estimator, trained, estimator.fit(trained), queries, source, 2)
    np.testing.assert_array_equal(found.index_Qk[:, 0], copied)
    np.testing.assert_allclose(found.influence_Qk[:, 0], 1.0, rtol=1e-3)
    assert (found.influence_Qk[:, 1] < 0.999).all()


@pytest.mark.usefixtures("float64")
def test_windows_of_bytes(tmp_path: Path) -> None:
    trained, estimator = text_training(tmp_path), TrackStar(rank=3)
    queries, fitted = few_texts(trained), estimator.fit(trained)
    found = estimator.influence(trained, fitted, estimator.gather(trained, fitted, sources(trained)), queries)
    expected = additive(trained, naive(trained, estimator, queries, None))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    best = most_influential(estimator, trained, fitted, queries, 1, 1)
    assert best.index_Qk[0, 0] == COPIED


def test_parameters_that_never_mattered_are_left_out(tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), TrackStar()
    for values in trained.data.columns.values():
        if values.ndim == 2:
            values[:, 1] = 0
    fitted = estimator.fit(trained)
    first_layer = fitted["scale_P"][:32].view(8, 4)
    assert (first_layer[:, 1] == 0).all() and (first_layer[:, 0] > 0).all()
    gathered = estimator.gather(trained, fitted, sources(trained))
    assert torch.isfinite(estimator.influence(trained, fitted, gathered, small_queries())).all()


def test_a_bare_checkpoint_has_no_second_moment(tmp_path: Path) -> None:
    trained = small_training(tmp_path, optimizer="adam")
    bare = replace(trained, steps=0)
    fitted, recorded = TrackStar().fit(bare), TrackStar().fit(trained)
    assert torch.isfinite(fitted["scale_P"]).all()
    assert not torch.allclose(fitted["scale_P"], recorded["scale_P"])


def test_a_measurement_of_other_columns_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = small_training(tmp_path)
    monkeypatch.setattr(trained.task, "measure", lambda _, rows: rows["answers"])  # a task of queries alone
    with pytest.raises(ConfigError, match=r"'answers', which training examples lack"):
        TrackStar().fit(trained)
    assert TrackStar(mixing=0.0).fit(trained)["mixing"] == 0


@pytest.mark.parametrize(
    "options",
    [{"rank": 0}, {"mixing": 1.5}, {"common": 0.0}, {"damping": 0.0}, {"seed": -1}, {"entries": "x"}],
)
def test_impossible_options_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=r"\. Set "):
        build_estimator("trackstar", options)
