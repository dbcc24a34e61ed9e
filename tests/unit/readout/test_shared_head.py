"""Read-outs of a divided model against those of the whole one."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.unit.readout.small import relative_error, texts, transformer
from tests.unit.tasks.huggingface.conftest import all_float64  # noqa: F401
from tests.unit.tasks.huggingface.models import language_model, ragged_tokens
from tribute.errors import ConfigError
from tribute.readout import METHODS, PerturbedModel, PreparedReadOut, QueryRows, difference, shared_head
from tribute.readout.block import Sections, softmax
from tribute.readout.reader import ModelReader
from tribute.readout.shared_head import HEAD_TOLERANCE, HeadDifferences
from tribute.tasks import Batch, Classifier, FlatTask, Model, Scope

ADAPTER = {"r": 2, "target_modules": ["q_proj", "v_proj", "c_attn"], "init_lora_weights": False}
BLOCK = {"llama": r"layers\.1\.|model\.norm", "gpt2": "last_block", "mixtral": r"layers\.1\.|model\.norm"}
CASES = [("bytes", "last_block"), ("llama", "block"), ("gpt2", "block")]


def model(name: str, scope: str, folder: Path, size: float = 0.02, sources: int = 4) -> PerturbedModel:
    """A small random model with random responses; its vocabulary has 64 tokens, or 256 bytes."""
    if name == "bytes":
        return transformer(torch.get_default_dtype(), scope, sources, size)
    task = language_model(name, folder, **({"adapter": ADAPTER} if scope == "lora" else {}))
    theta_P, chosen = task.initial(0), Scope(task, BLOCK[name] if scope == "block" else scope)
    theta_P = theta_P.to(torch.get_default_dtype())
    torch.manual_seed(1)
    return PerturbedModel(chosen, theta_P, size * torch.randn(sources, chosen.size))


def queries_for(name: str) -> QueryRows:
    if name == "bytes":
        return texts()
    tokens = ragged_tokens(5).numpy()
    target = np.arange(tokens.shape[1]) > np.arange(5)[:, None]
    return QueryRows(tuple("abc"), {"tokens": tokens, "target": target}, np.array([0, 0, 1, 2, 2]))


@contextmanager
def undivided() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelReader, "division", lambda *_: None)
        yield


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize(("name", "scope"), CASES)
@pytest.mark.parametrize("method", ["jvp", "shared_trunk", "shared_head"])
def test_a_divided_model_has_the_influences_of_the_whole_one(
    tmp_path: Path, name: str, scope: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax, "TOP", 256)
    perturbed, queries = model(name, scope, tmp_path), queries_for(name)
    assert Sections(perturbed).of(queries) is not None
    found = METHODS[method](perturbed, queries, 1.0)
    with undivided():
        expected = METHODS["jvp" if method == "jvp" else "shared_trunk"](perturbed, queries, 1.0)
    assert relative_error(found.influence_QS, expected.influence_QS) < 1e-9
    assert relative_error(found.measurement_Q, expected.measurement_Q) < 1e-12


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("scope", ["block", "lora"])
def test_a_divided_model_in_single_precision(tmp_path: Path, name: str, scope: str) -> None:
    perturbed, queries = model(name, scope, tmp_path), queries_for(name)
    assert Sections(perturbed).of(queries) is not None
    for method, oracle in (("jvp", "adjoint"), ("shared_head", "difference")):
        found, expected = (METHODS[each](perturbed, queries, 1.0).influence_QS for each in (method, oracle))
        assert relative_error(found, expected) < (1e-6 if method == "jvp" else 1e-4)


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize(("name", "scope"), [*CASES, ("mixtral", "block")])
def test_hidden_states_of_several_models_in_one_pass_are_those_of_each(
    tmp_path: Path, name: str, scope: str
) -> None:
    perturbed, queries = model(name, scope, tmp_path), queries_for(name)
    division = Sections(perturbed).of(queries)
    assert division is not None and division.section.folds
    section, measure = division.section, perturbed.scope.task.measure_by
    batch, _ = next(queries.batches(3, torch.device("cpu")))
    recorded = section.record(perturbed.scope.pieces(perturbed.theta_p), batch, measure)
    models = perturbed.theta_p - perturbed.response_Sp
    [together] = section.hidden_of_each(perturbed.scope.pieces(models), [recorded])
    alone = torch.stack([section.hidden(perturbed.scope.pieces(each), recorded) for each in models])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize(("name", "scope"), CASES)
@pytest.mark.parametrize("method", ["jvp", "shared_head"])
def test_influences_on_tokens_add_up(tmp_path: Path, name: str, scope: str, method: str) -> None:
    perturbed, queries = model(name, scope, tmp_path), queries_for(name)
    prepared = PreparedReadOut(method, perturbed.scope, [perturbed.theta_P], [perturbed.response_Sp])
    [read] = prepared.read(queries)
    by_token_NTS = prepared.read_tokens(queries)
    summed_QS = torch.zeros_like(read.influence_QS)
    summed_QS.index_add_(0, torch.from_numpy(queries.query_N), by_token_NTS.sum(1))
    torch.testing.assert_close(summed_QS, read.influence_QS, rtol=1e-10, atol=1e-12)
    with undivided():
        expected_NTS = prepared.read_tokens(queries)
    assert relative_error(by_token_NTS, expected_NTS) < (1e-9 if method == "jvp" else HEAD_TOLERANCE)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", [0.02, 0.1])
def test_the_second_order_of_unlikely_tokens_is_estimated(size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a nearly uniform distribution over 256 bytes, few tokens are followed exactly."""
    perturbed = transformer(torch.float64, "last_block", size=size)
    expected = difference(perturbed, texts()).influence_QS
    monkeypatch.setattr(softmax, "TOP", 32)
    monkeypatch.setattr(softmax, "DRAWN", 64)
    reader = HeadDifferences(perturbed, 1.0, tolerance=math.inf)
    error = relative_error(reader.read(texts()).influence_QS, expected)
    monkeypatch.setattr(softmax.SoftmaxHead, "beyond", lambda _, recorded, __, change: 0 * recorded.along(change))
    first_order = relative_error(reader.read(texts()).influence_QS, expected)
    assert 0 < error < first_order / 5


@pytest.mark.usefixtures("float64")
def test_a_head_that_is_off_is_read_out_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax.SoftmaxHead, "beyond", lambda _, recorded, __, change: 0 * recorded.along(change))
    reader = HeadDifferences(transformer(torch.float64, "last_block", size=0.2), 1.0)
    found = reader.read(texts())
    assert reader.error is not None and reader.error > HEAD_TOLERANCE
    expected = difference(transformer(torch.float64, "last_block", size=0.2), texts())
    assert relative_error(found.influence_QS, expected.influence_QS) < 1e-12


@pytest.mark.usefixtures("float64")
def test_a_head_is_compared_until_enough_rows_were(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = HeadDifferences(transformer(torch.float64, "last_block", size=0.02), 1.0)
    reader.read(texts().between(0, 1))
    assert reader.follows
    monkeypatch.setattr(softmax.SoftmaxHead, "beyond", lambda _, recorded, __, change: 0 * recorded.along(change))
    reader.read(texts().between(1, 2))
    assert not reader.follows


def test_rows_are_spread_from_the_first_to_the_last() -> None:
    rows = {"features": np.arange(101)[:, None]}
    queries = QueryRows(("a", "b"), rows, np.repeat([0, 1], [60, 41]))
    spread = queries.spread(5)
    assert spread.columns["features"][:, 0].tolist() == [0, 25, 50, 75, 100]
    assert spread.query_N.tolist() == [0, 0, 0, 1, 1]
    assert queries.spread(1).query_N.tolist() == [0]
    assert queries.spread(1000).query_N.tolist() == queries.query_N.tolist()


class Crossed:
    """A model whose outputs depend on a layer of the scope and, past everything behind it, on its weight."""

    def build(self) -> nn.Module:
        return CrossedLayers()

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        return -self.measurement(model, batch)

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        return model(queries["features"]).log_softmax(-1)[:, 0]


class CrossedLayers(nn.Module):
    """Two layers and a head; the weight of the second is looked at again behind its output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 9)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.second(self.first(x).tanh()).tanh()
        return self.head(hidden) + self.second.weight.sum() * x.sum(1, keepdim=True) * torch.arange(9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("method", ["jvp", "shared_trunk", "shared_head"])
@pytest.mark.parametrize(
    ("own", "scope"), [(Crossed(), "second"), (Classifier(features=4, hidden=(5,), classes=3), "head")]
)
def test_a_model_that_cannot_be_divided_is_read_out_whole(own: object, scope: str, method: str) -> None:
    task = FlatTask(own)  # type: ignore[arg-type]
    chosen, theta_P = Scope(task, scope), task.initial(0).double()
    torch.manual_seed(0)
    perturbed = PerturbedModel(chosen, theta_P, 0.1 * torch.randn(3, chosen.size))
    rows = {"features": np.random.default_rng(0).normal(size=(4, 4)), "labels": np.arange(4) % 3}
    queries = QueryRows(tuple("abcd"), rows, np.arange(4))
    assert Sections(perturbed).of(queries) is None
    found = METHODS[method](perturbed, queries, 1.0).influence_QS
    expected = METHODS["adjoint" if method == "jvp" else "difference"](perturbed, queries, 1.0).influence_QS
    assert relative_error(found, expected) < 1e-12


def test_the_whole_model_has_no_head_behind_it() -> None:
    with pytest.raises(ConfigError, match=r"shared_head needs a narrow simulation\.scope"):
        shared_head(transformer(torch.float32), texts())
