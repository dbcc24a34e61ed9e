"""A part of a project: a study of a model that was trained elsewhere."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

import tribute
from tests.fuzz.chance import Chance
from tests.fuzz.part import Part, require, require_close
from tests.fuzz.study.models import FROZEN, MODELS
from tests.fuzz.study.retraining import PlainTraining, batches_of, built
from tests.fuzz.study.trained import learned
from tests.fuzz.study.worlds import World, drawn_training, drawn_world

Named = dict[str, Tensor]


def _first(named: Named) -> str:
    return next(name for name, value in named.items() if value.is_floating_point() and value.ndim > 0)


def _changed(change: Callable[[Tensor], Tensor]) -> Callable[[Named], Named]:
    return lambda named: named | {_first(named): change(named[_first(named)].clone())}


def _with(value: float) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.reshape(-1).index_fill(0, torch.tensor([0]), value).reshape(tensor.shape)


CHECKPOINT_FAULTS: dict[str, Callable[[Named], Named]] = {
    "a prefix": lambda named: {f"module.{name}": value for name, value in named.items()},
    "a prefix of compilation": lambda named: {f"_orig_mod.{name}": value for name, value in named.items()},
    "a further layer": lambda named: named | {"further.weight": torch.ones(2, 2)},
    "a layer too few": lambda named: {name: value for name, value in named.items() if name != _first(named)},
    "not a number": _changed(_with(float("nan"))),
    "infinity": _changed(_with(float("inf"))),
    "int8": _changed(lambda tensor: (tensor * 20).to(torch.int8)),
    "float8": _changed(lambda tensor: tensor.to(torch.float8_e4m3fn)),
    "another shape": _changed(lambda tensor: torch.cat([tensor, tensor])),
    "a scale beside": lambda named: named | {f"{_first(named)}_scale": torch.ones(1)},
    "nothing": lambda _: {},
}
FILE_FAULTS = ("a pickle", "no such file", "half a file")
OF_MODULES = tuple(name for name in MODELS if name not in ("compiled", "several dtypes", "double"))


@dataclass
class CheckpointStudy(Part):
    """Influences by further steps from a model that was trained elsewhere."""

    world: World = field(kw_only=True)
    training: dict[str, Any] = field(kw_only=True)
    steps: int = field(kw_only=True)
    rate: float = field(kw_only=True)
    form: str = field(kw_only=True)
    again: bool = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """Compare with the same further steps in plain PyTorch; then another model in the same folder."""
        modules = [self._trained(seed) for seed in ((3, 4) if self.again else (3,))]
        for module in modules:
            self._study(module, folder)

    def _trained(self, seed: int) -> nn.Module:
        """A module that a few steps of its owner improved, whose frozen part is its own."""
        torch.manual_seed(seed)
        module, rows = self.world.task.build(), {n: torch.from_numpy(v) for n, v in self.world.columns.items()}
        optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.05)
        for _ in range(12):
            optimizer.zero_grad()
            self.world.task.training_loss(module, rows).mean().backward()
            optimizer.step()
        return module

    def _study(self, module: nn.Module, folder: Path) -> None:
        settings = tribute.TrainingSettings(**self.training)
        simulation = tribute.SimulationSettings(base="continue", steps=self.steps, learning_rate=self.rate)
        plain = self._plain(module, settings)
        with learned(
            self, lambda: [(plain.loss(built(self.world.task, settings.seed, module)), plain.loss(module))], -0.1
        ):
            study = tribute.Study.from_checkpoint(
                self.world.task,
                self.world.by_source,
                self._given(module, folder),
                training=settings,
                simulation=simulation,
                folder=folder / "study",
            )
        found = study.attribute(self.world.queries)
        require_close(
            found.measurement_Q, plain.measured(copy.deepcopy(module), self.world.queries), 2e-4, "measured"
        )
        moved = [plain.model(left_out) for left_out in [{}, *({s: 0.0} for s in range(len(self.world.ids)))]]
        lost_QS = np.stack([self._lost(plain, module, moved[0], each) for each in moved[1:]], 1)
        require_close(found.influence_QS, lost_QS, 5e-4, "further steps, nats")
        require(found.source_ids == tuple(self.world.ids), f"sources {found.source_ids}")

    def _plain(self, module: nn.Module, settings: tribute.TrainingSettings) -> PlainTraining:
        examples = len(self.world.columns["labels"])
        batches = batches_of(settings, examples, settings.seed, self.steps)
        return PlainTraining(
            lambda: copy.deepcopy(module),
            self.world.task,
            settings,
            self.world.columns,
            self.world.source_N,
            batches,
            [self.rate] * self.steps,
            settings.seed,
        )

    def _lost(self, plain: PlainTraining, module: nn.Module, whole: nn.Module, without: nn.Module) -> np.ndarray:
        """What the model loses if its parameters move as far as a source moves them."""
        moved = copy.deepcopy(module)
        with torch.no_grad():
            for own, one, other in zip(moved.parameters(), whole.parameters(), without.parameters(), strict=True):
                own -= one - other
        return plain.measured(copy.deepcopy(module), self.world.queries) - plain.measured(
            moved, self.world.queries
        )

    def _given(self, module: nn.Module, folder: Path) -> Any:
        """The model as its owner hands it over."""
        named = {name: value.detach().clone() for name, value in module.state_dict().items()}
        if self.fault in CHECKPOINT_FAULTS:
            named = CHECKPOINT_FAULTS[self.fault](named)
            if self.form == "module":
                return named
        path = folder / "model.safetensors"
        if self.fault == "no such file":
            return path
        if self.fault == "a pickle":
            torch.save(named, path)
            return path
        if self.form == "module":
            return module
        if self.form == "state_dict":
            return named
        kept = {name: value.clone().contiguous() for name, value in named.items()}
        content = safetensors.torch.save(kept)
        path.write_bytes(content[: len(content) // 2] if self.fault == "half a file" else content)
        return path


def drawn_checkpoint(chance: Chance, faulty: bool) -> CheckpointStudy:
    """A study of a checkpoint, which may be none of the task's."""
    fault = chance.mixed([(4, chance.of(CHECKPOINT_FAULTS)), (1, chance.of(FILE_FAULTS))]) if faulty else ""
    models = FROZEN if chance.happens(0.4) and not faulty else OF_MODULES
    world = drawn_world(chance, models=models)
    training = drawn_training(chance, len(world.columns["labels"])) | {"clip_norm": None, "replicates": 1}
    forms = ["module"] if world.model == "temporary buffer" else ["module", "state_dict", "file"]
    form = "file" if fault in FILE_FAULTS else chance.of(forms)
    kinds = [*world.kinds, f"checkpoint: {form}", f"optimizer: {training['optimizer']}"]
    again = not faulty and world.model in FROZEN
    return CheckpointStudy(
        kinds, fault, world=world, training=training, steps=chance.whole(1, 6), rate=0.02, form=form, again=again
    )
