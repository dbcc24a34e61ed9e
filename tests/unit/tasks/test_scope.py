"""Scopes by name, and a task as a function of its scope alone."""

import pytest
import torch
from torch import nn

from tribute.errors import ConfigError
from tribute.tasks import ByteLm, Classifier, FlatTask, Scope
from tribute.tasks.scope import folded_names, scoped_names

GPT = list(FlatTask(ByteLm(context=4, width=4, heads=2, layers=12)).shapes)
MLP = list(FlatTask(Classifier(features=3, hidden=(5, 4), classes=2)).shapes)


class Adapter(nn.Module):
    """A frozen linear layer with a low-rank adapter, as LoRA libraries write it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.frozen = nn.Linear(inputs, outputs)
        self.frozen.requires_grad_(False)
        self.register_buffer("scale", torch.tensor(2.0))
        self.lora_a = nn.Parameter(torch.randn(2, inputs))
        self.lora_b = nn.Parameter(torch.randn(outputs, 2))

    def forward(self, x):
        return self.frozen(x) + self.scale * (x @ self.lora_a.T @ self.lora_b.T)


class Adapted(Classifier):
    """A classifier with adapters, and a head that trains."""

    def build(self) -> nn.Module:
        layers = [Adapter(3, 4), nn.Tanh(), Adapter(4, 4), nn.Tanh(), nn.Linear(4, 2)]
        return nn.Sequential(*layers)


def rows(count: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "features": torch.randn(count, 3, generator=generator),
        "labels": torch.randint(2, (count,), generator=generator),
    }


def test_all_keeps_every_name_in_the_models_order() -> None:
    assert scoped_names(GPT, "all") == tuple(GPT)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (GPT, [name for name in GPT if name.startswith(("blocks.11.", "norm."))]),
        (MLP, ["4.weight", "4.bias"]),
        (["layer1.0.a", "layer1.1.a", "layer4.0.a", "layer4.1.a", "layer4.1.b", "fc.weight"], None),
        (["encoder.layers.layer_0.mlp.3.w", "encoder.layers.layer_1.mlp.0.w", "heads.w"], None),
    ],
)
def test_the_last_block_is_the_last_numbered_one_and_what_follows(names: list[str], expected) -> None:
    assert list(scoped_names(names, "last_block")) == (expected or names[-3 if "fc.weight" in names else -2 :])


def test_the_head_is_the_last_module_that_holds_parameters_itself() -> None:
    assert scoped_names(GPT, "head") == ("norm.weight", "norm.bias")
    assert scoped_names(MLP, "head") == ("4.weight", "4.bias")
    assert scoped_names(["weight", "bias"], "head") == ("weight", "bias")
    assert scoped_names(["embedding", "body.0.weight", "body.0.bias"], "head") == ("body.0.weight", "body.0.bias")


def test_lora_is_the_adapters_and_anything_else_a_regular_expression() -> None:
    names = list(FlatTask(Adapted()).shapes)
    assert scoped_names(names, "lora") == ("0.lora_a", "0.lora_b", "2.lora_a", "2.lora_b")
    assert scoped_names(GPT, r"blocks\.[37]\..*bias$|positions") == tuple(
        name for name in GPT if name == "positions" or (name[:9] in ("blocks.3.", "blocks.7.") and "bias" in name)
    )


@pytest.mark.parametrize(
    ("names", "scope", "message"),
    [
        (MLP, "lora", r"simulation.scope 'lora' matches no parameter.*0.weight, 0.bias, 2.weight"),
        (["weight"], "last_block", "'last_block' matches no parameter of this model. Its parameters: weight$"),
        (GPT, "nothing_like_it", f"positions, .* and {len(GPT) - 20} more"),
        (MLP, "blocks.(", r"'blocks.\(' is not a valid regular expression: missing"),
    ],
)
def test_an_empty_or_invalid_scope_is_refused_and_lists_the_names(names, scope: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scoped_names(names, scope)


def test_frozen_parameters_are_not_part_of_theta() -> None:
    task = FlatTask(Adapted())
    assert not any("frozen" in name or "scale" in name for name in task.shapes)
    assert task.size == (2 * 3 + 4 * 2) + (2 * 4 + 4 * 2) + (4 * 2 + 2) == task.initial(0).numel()
    module = task.task.build()
    module.load_state_dict(dict(task.frozen), strict=False)
    before = task.frozen["0.frozen.weight"].clone()
    theta_P = task.initial(3)
    assert torch.equal(task.frozen["0.frozen.weight"], before)
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(theta_P, [p for p in module.parameters() if p.requires_grad])
        by_hand = nn.functional.cross_entropy(module(rows()["features"]), rows()["labels"], reduction="none")
    torch.testing.assert_close(task.losses(theta_P, rows()), by_hand)


@pytest.mark.parametrize("scope", ["all", "last_block", "head", "lora", r"2\."])
@pytest.mark.usefixtures("float64")
def test_a_scoped_task_is_the_task_at_the_scopes_own_part_of_theta(scope: str) -> None:
    task = FlatTask(Adapted())
    theta_P, other_P = task.initial(0), task.initial(1)
    own = Scope(task, scope)
    theta = task.pieces(theta_P)
    scoped = own.task_at(theta)
    assert own.size == own.of(theta_P).numel() <= task.size
    assert own.whole == (scope == "all")
    assert torch.equal(scoped.outputs_at(own.part(theta), rows()), task.outputs(theta_P, rows()))
    assert torch.equal(scoped.losses_at(own.part(theta), rows()), task.losses(theta_P, rows()))
    for name in ("losses", "measure"):
        whole, part = getattr(task, name)(theta_P, rows()), getattr(scoped, name)(own.of(theta_P), rows())
        torch.testing.assert_close(part, whole, rtol=0, atol=0)
    mixed = task.pieces(theta_P) | {name: task.pieces(other_P)[name] for name in own.names}
    expected = task.losses(torch.cat([mixed[name].reshape(-1) for name in task.shapes]), rows())
    torch.testing.assert_close(scoped.losses(own.of(other_P), rows()), expected, rtol=0, atol=0)
    stack_KP = torch.stack([theta_P, other_P])
    torch.testing.assert_close(own.of(stack_KP)[1], own.of(other_P), rtol=0, atol=0)


def test_frozen_parameters_are_rounded_with_the_others() -> None:
    task, precise = FlatTask(Adapted(), "bfloat16"), FlatTask(Adapted())
    rounded, exact = (each.losses(each.initial(0), rows()) for each in (task, precise))
    assert rounded.dtype == torch.float32
    assert 0 < float((rounded - exact).norm() / exact.norm()) < 0.03


def test_names_of_blocks_are_listed_once() -> None:
    folded = folded_names(GPT)
    assert folded[:3] == ["positions", "embedding.weight", "blocks.0..11.norm_attention.weight"]
    assert len(folded) == 3 + 11 + 2 - 1 + 1
    assert folded_names(["a.2.w", "a.4.w", "b1.w", "b2.w"]) == ["a.2,4.w", "b1.w", "b2.w"]
    assert folded_names(scoped_names(GPT, "last_block"))[0] == "blocks.11.norm_attention.weight"


def test_the_coverage_says_how_much_responds_and_what() -> None:
    task = FlatTask(Classifier(features=3, hidden=(5, 4), classes=2))
    head = Scope(task, "head")
    assert (head.size, task.size) == (10, 54)
    assert head.coverage == (
        "scope head: 10 of 54 parameters (19%) respond to a source, the others stay as they are. In the scope: "
        "4.weight, 4.bias"
    )
    assert Scope(task, "all").coverage == ""
