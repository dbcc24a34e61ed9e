"""TRAK against dense matrices and autograd, and its further models against a training by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.estimators.small import additive, query_gradient, small_queries, small_training, sources
from tests.unit.estimators.text import few_texts, text_training
from tests.unit.simulation.simulated import scaled
from tribute.errors import ConfigError
from tribute.estimators import Trained, build_estimator, most_influential
from tribute.estimators.methods.trak import Trak
from tribute.estimators.projection import Projection
from tribute.readout import QueryRows
from tribute.tasks import joined
from tribute.training import TrainingSet


def margin_gradient(trained: Trained, theta_P: Tensor, example: int) -> tuple[Tensor, Tensor]:
    """Gradient of log(p / (1 - p)), [P], with p from the training loss, and 1 - p; by autograd."""
    batch, _ = trained.data.batch(np.array([example]), trained.device)
    at_P = theta_P.clone().requires_grad_()
    p = (-trained.task.losses(at_P, batch)[0]).exp()
    [found_P] = torch.autograd.grad((p / (1 - p)).log(), [at_P])
    return found_P, (1 - p).detach()


def naive(trained: Trained, estimator: Trak, thetas: list[Tensor], queries: QueryRows, k: int) -> Tensor:
    """[Q, N], with everything dense."""
    count, size = len(trained.data), trained.task.size
    scores, doubts = torch.zeros(len(queries.query_ids), count), torch.zeros(count)
    for model, theta_P in enumerate(thetas):
        random_Pk = Projection(size, k, (estimator.seed, model), estimator.entries)(torch.eye(size))
        pairs = [margin_gradient(trained, theta_P, example) for example in range(count)]
        phi_Nk = torch.stack([gradient_P for gradient_P, _ in pairs]) @ random_Pk
        kernel_kk = phi_Nk.T @ phi_Nk
        mean = kernel_kk.diagonal().mean()
        damped_kk = kernel_kk + estimator.damping * mean * torch.eye(len(kernel_kk))
        asked = [query_gradient(trained.recipe, theta_P, queries, q) for q in range(len(queries.query_ids))]
        scores += torch.stack(asked) @ random_Pk @ torch.linalg.inv(damped_kk) @ phi_Nk.T / len(thetas)
        doubts += torch.stack([doubt for _, doubt in pairs]) / len(thetas)
    return scores * doubts


def further(trained: Trained, estimator: Trak, model: int) -> Tensor:
    """A further model, trained on a part of the examples."""
    data = trained.data
    rng = np.random.default_rng([trained.recipe.seed, estimator.seed, model])
    kept = sorted(rng.permutation(len(data))[: round(estimator.subset * len(data))])
    part = TrainingSet(data.source_ids, data.source_N[kept], {k: v[kept] for k, v in data.columns.items()})
    recipe = replace(trained.recipe, data=part, seed=int(rng.integers(2**31)))
    return joined(recipe.run(recipe.initial(), range(recipe.steps), torch.ones(len(data.source_ids))).theta)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("entries", ["rademacher", "gaussian"])
@pytest.mark.parametrize(
    ("options", "k"),
    [({}, 20), ({"dimension": 9, "damping": 0.0, "seed": 3}, 9), ({"dimension": 1000, "models": 3}, 58)],
)
def test_sources_are_the_sum_of_their_examples(options: dict, k: int, entries: str, tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), Trak(entries=entries, **options)
    fitted = estimator.fit(trained)
    gathered = estimator.gather(trained, fitted, sources(trained))
    assert fitted["factor_Mkk"].shape == (estimator.models, k, k)
    found = estimator.influence(trained, fitted, gathered, small_queries())
    thetas = [trained.theta_P, *(further(trained, estimator, m) for m in range(1, estimator.models))]
    expected = additive(trained, naive(trained, estimator, thetas, small_queries(), k))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("float64")
def test_further_models_differ_and_see_half_of_the_examples(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    theta_MP = Trak(models=3).fit(trained)["theta_MP"]
    assert torch.equal(theta_MP[0], trained.theta_P)
    assert min(float((theta_MP[i] - theta_MP[j]).norm()) for i, j in ((0, 1), (0, 2), (1, 2))) > 0.1
    assert torch.equal(theta_MP, Trak(models=3).fit(trained)["theta_MP"])


@pytest.mark.usefixtures("float64")
def test_the_most_influential_examples_of_a_source(tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), Trak()
    found = most_influential(estimator, trained, estimator.fit(trained), small_queries(), 1, 4)
    of_examples = naive(trained, estimator, [trained.theta_P], small_queries(), 20)
    expected = of_examples.numpy()[:, trained.data.source_N == 1]
    np.testing.assert_array_equal(found.index_Qk, 20 + np.argsort(-expected, axis=1)[:, :4])
    np.testing.assert_allclose(found.influence_Qk, -np.sort(-expected, axis=1)[:, :4], rtol=1e-8)


@pytest.mark.usefixtures("float64")
def test_windows_of_bytes(tmp_path: Path) -> None:
    trained, estimator = text_training(tmp_path), Trak()
    queries = few_texts(trained)
    fitted = estimator.fit(trained)
    found = estimator.influence(trained, fitted, estimator.gather(trained, fitted, sources(trained)), queries)
    expected = additive(trained, naive(trained, estimator, [trained.theta_P], queries, 6))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_single_precision_and_examples_of_no_loss(tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), Trak()
    state = trained.state(trained.steps)
    trained.trajectory.save(trained.steps, state._replace(theta=scaled(state.theta, 20)))
    fitted = estimator.fit(trained)
    assert (fitted["doubt_MN"] == 0).any()
    found = estimator.influence(
        trained, fitted, estimator.gather(trained, fitted, sources(trained)), small_queries()
    )
    assert found.dtype == torch.float32 and torch.isfinite(found).all()


def test_a_loss_that_is_no_probability_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = small_training(tmp_path)
    losses = trained.task.losses
    monkeypatch.setattr(trained.task, "losses", lambda theta_P, batch: losses(theta_P, batch) - 5)  # below 0
    with pytest.raises(ConfigError, match="not -log of a probability"):
        Trak().fit(trained)


def test_further_models_of_a_checkpoint_are_refused(tmp_path: Path) -> None:
    trained = replace(small_training(tmp_path), steps=0)
    with pytest.raises(ConfigError, match="Set models to 1"):
        Trak(models=2).fit(trained)
    Trak().fit(trained)


def test_a_kernel_that_examples_do_not_determine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="40 examples in 58 dimensions is singular"):
        Trak(dimension=58, damping=0.0).fit(small_training(tmp_path))


@pytest.mark.parametrize(
    "options",
    [{"models": 0}, {"subset": 0.0}, {"damping": -1.0}, {"seed": -1}, {"dimension": 0}, {"entries": "x"}],
)
def test_impossible_options_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=r"\. Set "):
        build_estimator("trak", options)
