"""Every way of breaking the contract is found and named; what keeps it is left alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.tasks.contract.wild import CLASSES, COLUMNS, FEATURES, RIGHT, WRONG, Softmax, examples, layers
from tribute.errors import ConfigError
from tribute.tasks import ByteLm, Classifier
from tribute.tasks.contract import TaskExamples, TaskFinding, check_contract, refuse


def found(task: object, columns: dict[str, np.ndarray] = COLUMNS, **options: object) -> list[TaskFinding]:
    """Findings in this process."""
    return check_contract(task, examples(columns), other_process=False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", WRONG)
def test_what_breaks_the_contract_is_named_with_its_remedy(name: str) -> None:
    task, subject, words = WRONG[name]
    findings = [each for each in found(task) if each.refused]
    assert findings[0].subject == subject
    with pytest.raises(ConfigError, match=f"(?s)Task wild cannot be valued as it stands.*({words})"):
        refuse(findings, "wild")


@pytest.mark.parametrize("name", RIGHT)
def test_what_keeps_it_is_left_alone(name: str) -> None:
    assert found(RIGHT[name]) == []


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_few_examples_are_enough(count: int) -> None:
    columns = {name: values[:count] for name, values in COLUMNS.items()}
    assert found(Softmax(), columns) == []
    [finding] = found(Softmax(loss=lambda each, *_: each.mean()), columns)
    assert finding.subject == "training_loss"


def test_a_batch_as_large_as_another_dimension_is_told_from_it() -> None:
    """Losses [C] of 3 classes look like losses [B] of 3 examples, but not like those of one."""
    by_class = Softmax(
        loss=lambda each, _model, batch: functional.one_hot(batch["labels"], 3).float().mean(0) + each.sum()
    )
    assert [each.subject for each in found(by_class)] == ["training_loss"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            {7: 5},
            "training_loss fails for source 'a', row 7: Target 5 is out of bounds .labels 5.. Number the classes",
        ),
        ({9: -100}, "0 whatever the parameters for source 'a', row 9: it trains nothing.*-100"),
        ({9: -100, 11: -100}, "row 9"),
        ({4: -1}, "fails for source 'a', row 4: Target -1 is out of bounds"),
    ],
)
def test_labels_outside_the_classes_are_refused_with_their_row(labels: dict[int, int], words: str) -> None:
    changed = COLUMNS["labels"].copy()
    for row, label in labels.items():
        changed[row] = label
    findings = found(Softmax(), COLUMNS | {"labels": changed})
    with pytest.raises(ConfigError, match=words):
        refuse(findings, "wild")


def test_an_ignored_class_is_found_wherever_it_stands() -> None:
    """`ignore_index` may be any class, not only an extreme one."""
    ignoring = Softmax(
        loss=lambda _e, m, b: functional.cross_entropy(
            m(b["features"]), b["labels"], reduction="none", ignore_index=1
        )
    )
    assert [each.subject for each in found(ignoring)] == ["examples"]


class Tokens(Softmax):
    def each(self, model, rows):
        return functional.cross_entropy(model(rows["tokens"]).mean(1), rows["labels"], reduction="none")


@pytest.mark.parametrize(("wrong", "kind"), [(16, nn.Embedding), (-1, nn.Embedding), (99, nn.EmbeddingBag)])
def test_ids_outside_the_vocabulary_are_refused_with_their_row(wrong: int, kind: type[nn.Module]) -> None:
    tokens = np.arange(60).reshape(20, 3) % 16
    tokens[13, 1] = wrong
    columns = {"tokens": tokens, "labels": np.arange(20) % CLASSES}
    embedding = nn.Embedding if kind is nn.Embedding else nn.EmbeddingBag
    model = [embedding(16, 4), nn.Linear(4, CLASSES), nn.Unflatten(1, (1, -1))][: 2 if kind is nn.Embedding else 3]
    [finding, *_] = found(Tokens(build=lambda: nn.Sequential(*model)), columns)
    assert (
        f"row 13: id {wrong} is outside the vocabulary of {kind.__name__} '0', which holds 0 to 15" in finding.text
    )


def test_parameters_that_no_gradient_reaches_are_noted() -> None:
    unused = Softmax(build=layers(lambda _, x: x, lambda: nn.Linear(4, 4)))
    [finding] = found(unused, weight_decay=0.1)
    assert (finding.subject, finding.refused) == ("parameters", False)
    assert "no gradient of training_loss reaches extra.0.weight, extra.0.bias" in finding.text


@pytest.mark.parametrize(("decay", "refused"), [(0.0, False), (0.1, True)])
def test_decay_of_what_is_measured_but_not_trained_is_refused(decay: float, refused: bool) -> None:
    """torch.optim leaves a parameter without a gradient alone; here it would decay."""
    half = Softmax(loss=lambda _e, m, b: (m.detached(b["features"])).square().mean(1), build=lambda: Detached())
    half.each = lambda model, rows: model(rows["features"]).square().sum(1)  # type: ignore[method-assign]
    half.training_loss = lambda model, batch: model(batch["features"], True).square().mean(1)  # type: ignore[method-assign]
    findings = found(half, weight_decay=decay)
    assert [(each.subject, each.refused) for each in findings] == [("parameters", refused)]
    assert "requires_grad_(False)" in findings[0].text


class Detached(nn.Module):
    """A trunk that the training does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Linear(FEATURES, 4), nn.Linear(4, CLASSES)

    def forward(self, x, frozen=False):
        hidden = self.trunk(x)
        return self.head(hidden.detach() if frozen else hidden)


def test_queries_without_a_column_are_refused() -> None:
    queries = TaskExamples({"features": COLUMNS["features"][:3]}, ("queries",) * 3, (0, 1, 2), "query")
    [finding] = check_contract(Softmax(), examples(), queries, other_process=False)
    assert finding.text.startswith("measurement needs column 'labels', but the queries have features")


def test_examples_without_the_columns_of_queries_leave_the_measurement_for_later() -> None:
    measured_later = Softmax(measure=lambda each, _model, queries: each * queries["asked"])
    assert found(measured_later) == []


def test_generators_and_the_task_are_left_as_they_were() -> None:
    torch.manual_seed(3)
    before = torch.default_generator.get_state(), np.random.get_state()[1].copy()
    found(RIGHT["dropout"])
    assert torch.equal(torch.default_generator.get_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_the_built_in_tasks_keep_the_contract() -> None:
    assert found(Classifier(features=FEATURES, hidden=(4,), classes=CLASSES)) == []
    tokens = {"tokens": np.random.default_rng(0).integers(-1, 256, (9, 9)).astype(np.int16)}
    assert found(ByteLm(context=8, width=8, heads=2, layers=1), tokens) == []


class Halves(Softmax):
    """Divides a measurement between two positions, as a function does to them."""

    def __init__(self, change: Callable) -> None:
        super().__init__()
        self.change = change

    def token_measurement(self, model, queries):
        whole = self.measurement(model, queries)
        return self.change(torch.stack([whole / 4, whole * 3 / 4], 1))


def test_parts_that_add_up_to_the_measurement_are_left_alone() -> None:
    assert found(Halves(lambda parts: parts)) == []
    tokens = np.random.default_rng(0).integers(0, 256, (20, 9)).astype(np.int16)
    tokens[3, 4:] = -1
    assert found(ByteLm(context=8, width=8, heads=2, layers=1), {"tokens": tokens}) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda parts: parts / 2,
            r"sums to -\S+ for source 'a', row \d+, but its measurement is -\S+. Return parts",
        ),
        (lambda parts: parts * torch.nan, "sums to nan"),
        (lambda parts: parts.sum(1), r"returns shape .*expected .*, T\)"),
        (lambda parts: parts[:, 5], "token_measurement fails: IndexError.*leave it out"),
    ],
)
def test_parts_that_do_not_add_up_are_refused(change: Callable, words: str) -> None:
    [finding] = found(Halves(change))
    assert finding.subject == "token_measurement"
    with pytest.raises(ConfigError, match=words):
        refuse([finding], "wild")


class Deaf(ByteLm):
    """Predicts prompts too, in one of its functions or in both."""

    def __init__(self, *functions: str) -> None:
        super().__init__(context=8, width=8, heads=2, layers=1)
        for name in functions:
            heard = getattr(ByteLm, name)
            object.__setattr__(self, name, lambda model, rows, heard=heard: heard(self, model, plain(rows)))


def plain(rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"tokens": rows["tokens"]}


@pytest.mark.parametrize("function", ["training_loss", "measurement"])
def test_a_task_that_predicts_prompts_too_is_refused(function: str) -> None:
    tokens = np.random.default_rng(0).integers(0, 256, (20, 9)).astype(np.int16)
    target = np.random.default_rng(1).random((20, 9)) < 0.5
    target[:, 0] = False
    assert found(ByteLm(context=8, width=8, heads=2, layers=1), {"tokens": tokens, "target": target}) == []
    [finding] = found(Deaf(function), {"tokens": tokens, "target": target})
    assert finding.refused and finding.subject == function
    assert "prompts would count like answers" in finding.text
    assert found(Deaf(function), {"tokens": tokens}) == []
