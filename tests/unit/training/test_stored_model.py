"""A checkpoint is the task's model, whole and under its names, or it is refused by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from tests.unit.tasks.frozen_tasks import FrozenTrunk, RandomFeatures, Tied
from tribute.config import TrainingSettings
from tribute.errors import ConfigError
from tribute.study.examples import training_set
from tribute.tasks import Classifier, FlatTask, joined
from tribute.training import Recipe, Recorder, Trajectory, build_model
from tribute.training.adoption import load_checkpoint
from tribute.training.stored_model import StoredModel

PLAIN = Classifier(features=4, hidden=(5,), classes=3)
Named = dict[str, Tensor]


def stored(folder: Path, named: Named) -> TrainingSettings:
    path = folder / "model.safetensors"
    safetensors.torch.save_file({name: value.clone().contiguous() for name, value in named.items()}, path)
    return TrainingSettings(checkpoint=path)


def trained(task: Classifier) -> nn.Module:
    """A module whose every tensor differs from that of any fresh one."""
    torch.manual_seed(99)
    module = task.build()
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point():
            value.data += 0.5
    return module


@pytest.mark.parametrize(
    "task",
    [
        PLAIN,
        FrozenTrunk(features=4, classes=3),
        *(RandomFeatures(4, classes=3, kind=k) for k in ("buffer", "parameter")),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_a_stored_model_measures_what_the_module_does(
    tmp_path: Path, task: Classifier, dtype: torch.dtype
) -> None:
    module = trained(task).eval()
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point():
            value.data = value.data.to(dtype).float()
    named = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in module.state_dict().items()
    }
    flat = build_model(task, training := stored(tmp_path, named))
    queries = {"features": torch.randn(7, 4), "labels": torch.randint(3, (7,))}
    theta_P = load(flat, training)
    with torch.no_grad():
        torch.testing.assert_close(flat.measure(theta_P, queries), task.measurement(module, queries))


def load(flat: FlatTask, training: TrainingSettings) -> Tensor:
    assert training.checkpoint is not None
    return StoredModel.read(training.checkpoint, flat).theta_P


class Doubled(Classifier):
    """A classifier in double precision."""

    def build(self) -> nn.Module:
        return super().build().double()


def test_double_precision_is_kept_to_the_last_bit(tmp_path: Path) -> None:
    """Whatever the default type is, when the checkpoint is read, kept beside the training and read again."""
    task = Doubled(features=4, hidden=(5,), classes=3)
    named = {name: torch.rand_like(value) for name, value in task.build().state_dict().items()}
    training = stored(tmp_path, named).model_copy(update={"seed": 3})
    flat = build_model(task, training)
    assert flat.dtype == torch.float64
    data = training_set(
        {
            "a": {"features": np.zeros((3, 4)), "labels": np.arange(3)},
            "b": {"features": np.ones((3, 4)), "labels": np.arange(3)},
        }
    )
    recipe = Recipe(task, training, data, training.seed)
    state = load_checkpoint(recipe, tmp_path / "model.safetensors")
    trajectory = Trajectory(tmp_path / "kept")
    trajectory.save(0, state)
    for theta_P in (load(flat, training), joined(state.theta), joined(trajectory.load(0).theta)):
        assert theta_P.dtype == torch.float64
        found = flat.pieces(theta_P)
        assert all(torch.equal(found[name], value) for name, value in named.items())


def prefixed(prefix: str) -> Callable[[Named], Named]:
    return lambda named: {prefix + name: value for name, value in named.items()}


def quantised(dtype: torch.dtype) -> Callable[[Named], Named]:
    return lambda named: named | {"0.weight": (named["0.weight"] * 20).to(dtype)}


def spoiled(number: float) -> Callable[[Named], Named]:
    def spoil(named: Named) -> Named:
        named["0.weight"][1, 2] = number
        return named

    return spoil


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda n: n | {"4.weight": torch.ones(3, 3), "4.bias": torch.ones(3)},
            "has 2 that the task lacks: 4.bias, 4.weight",
        ),
        (
            lambda n: {k: v for k, v in n.items() if k != "2.bias"},
            "lacks 1 that the task has: 2.bias. Set task.options",
        ),
        (lambda n: n | {"0.weight_scale": torch.ones(1)}, "has 1 that the task lacks: 0.weight_scale"),
        (prefixed("module."), "under the prefix 'module.', which the task's names lack. Store it without, as"),
        (prefixed("_orig_mod."), "under the prefix '_orig_mod.'"),
        (prefixed("model.net."), "under the prefix 'model.net.'"),
        (lambda n: {k.removeprefix("0."): v for k, v in n.items() if k.startswith("0.")}, "does not fit the task"),
        (
            quantised(torch.int8),
            "0.weight is int8, but the task has float32. Integers and quantised",
        ),
        (quantised(torch.uint8), "0.weight is uint8"),
        (quantised(torch.int32), "0.weight is int32"),
        (quantised(torch.float8_e4m3fn), "0.weight is float8_e4m3fn"),
        (quantised(torch.bool), "0.weight is bool"),
        (spoiled(float("nan")), "1 of 20 values of 0.weight are NaN or infinite"),
        (spoiled(float("inf")), "1 of 20 values of 0.weight are NaN or infinite"),
        (
            lambda n: n | {"0.weight": n["0.weight"].double() * 1e200},
            "20 of 20 values of 0.weight are NaN or infinite",
        ),
        (lambda n: n | {"0.weight": n["0.weight"].T}, r"0.weight has shape \(4, 5\), but the task's has \(5, 4\)"),
        (lambda n: n | {"0.bias": n["0.bias"][None]}, r"0.bias has shape \(1, 5\), but the task's has \(5,\)"),
    ],
)
def test_what_is_not_the_tasks_model_is_refused_by_name(tmp_path: Path, change: Callable, message: str) -> None:
    named = {name: value.detach().clone() for name, value in trained(PLAIN).state_dict().items()}
    with pytest.raises(ConfigError, match=message):
        build_model(PLAIN, stored(tmp_path, change(named)))


def test_a_prefix_that_only_the_task_has_is_named(tmp_path: Path) -> None:
    class Wrapped(Classifier):
        def build(self) -> nn.Module:
            return nn.ModuleDict({"net": super().build()})

    with pytest.raises(ConfigError, match=r"without the prefix 'net.', which all of the task's names have"):
        build_model(Wrapped(4, (5,), 3), stored(tmp_path, trained(PLAIN).state_dict()))


def test_frozen_parameters_and_buffers_are_checked_like_all_others(tmp_path: Path) -> None:
    task = FrozenTrunk(features=4, classes=3)
    whole = {name: value.detach().clone() for name, value in trained(task).state_dict().items()}
    head = {name: value for name, value in whole.items() if name.startswith("1.")}
    with pytest.raises(ConfigError, match=r"lacks 7 that the task has: 0.0.weight, 0.0.bias, 0.1.weight"):
        build_model(task, stored(tmp_path, head))
    with pytest.raises(ConfigError, match=r"4 of 16 values of 0.1.running_var are NaN"):
        spoil = whole | {"0.1.running_var": torch.tensor([float("nan")] * 4 + [1.0] * 12)}
        build_model(task, stored(tmp_path, spoil))
    with pytest.raises(ConfigError, match=r"0.1.num_batches_tracked is float32, but the task has int64"):
        build_model(task, stored(tmp_path, whole | {"0.1.num_batches_tracked": torch.tensor(3.0)}))
    found = build_model(
        task, stored(tmp_path, whole | {"0.1.num_batches_tracked": torch.tensor(3, dtype=torch.int16)})
    )
    assert torch.equal(found.frozen["0.0.weight"], whole["0.0.weight"])
    assert found.frozen["0.1.num_batches_tracked"] == 3


def test_random_tensors_outside_the_state_dict_are_refused(tmp_path: Path) -> None:
    for kind in ("temporary", "attribute"):
        task = RandomFeatures(4, classes=3, kind=kind)
        with pytest.raises(ConfigError, match=r"lacks omega, which Task.build draws at random and keeps out"):
            build_model(task, stored(tmp_path, trained(task).state_dict()))


def test_a_tied_tensor_is_found_under_any_of_its_names(tmp_path: Path) -> None:
    task = Tied(features=4, classes=3)
    named = {name: value.detach().clone() for name, value in trained(task).state_dict().items()}
    assert {"0.weight", "2.weight"} <= named.keys()
    for left_out in ("0.weight", "2.weight", None):
        some = {name: value for name, value in named.items() if name != left_out}
        theta_P = load(FlatTask(task), stored(tmp_path, some))
        assert torch.equal(theta_P[:16], named["0.weight"].flatten())
    with pytest.raises(ConfigError, match=r"0.weight and 2.weight are one tensor in the task, but differ here"):
        load(FlatTask(task), stored(tmp_path, named | {"2.weight": torch.ones(4, 4)}))


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    torch.save(PLAIN.build().state_dict(), tmp_path / "model.pt")
    with pytest.raises(ConfigError, match=r"cannot be read as safetensors: .* with safetensors.torch.save_file"):
        build_model(PLAIN, TrainingSettings(checkpoint=tmp_path / "model.pt"))


@pytest.mark.parametrize("kind", ["buffer", "parameter", "temporary"])
def test_a_recorded_loop_brings_its_frozen_part_along(tmp_path: Path, kind: str) -> None:
    task, folders = RandomFeatures(4, classes=3, kind=kind), [tmp_path / "one", tmp_path / "two"]
    model = trained(task)
    for folder, shift in zip(folders, (0.0, 0.1), strict=True):
        model.omega.data += shift
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        Recorder(folder, torch.nn.ModuleDict({"module": model}) if shift else model, optimizer).close()
    found = build_model(task, TrainingSettings(recordings=folders[:1], replicates=1))
    torch.testing.assert_close(found.frozen["omega"], model.omega - 0.1)
    assert found.frozen_sha256 != FlatTask(task).frozen_sha256
    with pytest.raises(ConfigError, match=r"one and .*two were recorded with different frozen .*: omega\."):
        build_model(task, TrainingSettings(recordings=folders, replicates=2))
