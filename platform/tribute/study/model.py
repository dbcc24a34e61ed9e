"""A model, its sources and its training: what a study is about.

Legend: N examples of a source.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self
from weakref import finalize

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tribute.config import (
    ReadoutSettings,
    SimulationSettings,
    TrainingSettings,
    ValuationSettings,
)
from tribute.corpus import QueryTable
from tribute.errors import ConfigError, SimulationError
from tribute.simulation import Replicate
from tribute.study.check import checked, query_examples, require_task
from tribute.study.examples import sources_of, token_counts, training_set
from tribute.study.identity import study_id
from tribute.study.runs import Runs, replicate_of
from tribute.study.training import TrainingReport
from tribute.study.workers import InProcess, Workers, on_ray
from tribute.tasks import Task
from tribute.training import Recipe, Recorder
from tribute.training.recording import read_recording
from tribute_storage.atomic import write_atomically


class StudiedModel:
    """The task, the examples by source, and the recorded trainings; see `Study`."""

    def __init__(
        self,
        task: Task,
        by_source: Mapping[str, Any],
        *,
        training: TrainingSettings | None = None,
        simulation: SimulationSettings | None = None,
        valuation: ValuationSettings | None = None,
        readout: ReadoutSettings | None = None,
        replicates: int | None = None,
        tokens: Mapping[str, int] | None = None,
        folder: str | Path | None = None,
        device: str = "cpu",
        ray: bool | str = False,
    ) -> None:
        require_task(task)
        self.task, self.data = task, training_set(by_source)
        self.tokens = token_counts(self.data, tokens)
        self.simulation = simulation or SimulationSettings()
        self.valuation, self.readout = valuation or ValuationSettings(), readout or ReadoutSettings()
        self._device, self._held = torch.device(device), ExitStack()
        finalize(self, self._held.close)
        self.folder = Path(folder or self._held.enter_context(TemporaryDirectory(prefix="tribute-")))
        self._workers: Workers = on_ray(ray, self._held) if ray else InProcess()
        self._replicates: list[Replicate] | None = None
        self._ray, self._kept_contracts, self.learning = bool(ray), set[str](), list[list[dict[str, Any]]]()
        self.training = _with_replicates(training or TrainingSettings(), replicates)

    @classmethod
    def from_checkpoint(
        cls,
        task: Task,
        by_source: Mapping[str, Any],
        checkpoint: str | Path | nn.Module | Mapping[str, Tensor],
        **options: Any,
    ) -> Self:
        """The study of a model of which only the parameters are left.

        Sources are simulated by further steps, and values learn from such further trainings without sources.

        Args:
            checkpoint: the module, its `state_dict`, or a safetensors file of the latter.
            options: keyword arguments of `Study`; `simulation` defaults to `base="continue"`.

        Raises:
            ConfigError: the checkpoint cannot be read or does not fit the task, or `simulation.base` is replay.
        """
        simulation = options.pop("simulation", None) or SimulationSettings(base="continue")
        if simulation.base != "continue" and not simulation.estimated:
            raise ConfigError(
                "A checkpoint has no recorded steps to replay, but simulation.base is replay. Set it to continue"
            )
        study = cls(task, by_source, simulation=simulation, **options)
        study.training = study.training.model_copy(
            update={"checkpoint": _kept_checkpoint(checkpoint, study.folder)}
        )
        study.train()
        return study

    @property
    def training(self) -> TrainingSettings:
        """How the model was, or will be, trained."""
        return self.runs.recipe.training

    @training.setter
    def training(self, settings: TrainingSettings) -> None:
        recording = next(iter(settings.recordings), None)
        recipe = Recipe(self.task, settings, self.data, settings.seed, self._device, recording)
        self.runs = Runs(replace(recipe, frozen=recipe.task.frozen), self.folder / study_id(recipe), self._workers)

    @property
    def source_ids(self) -> tuple[str, ...]:
        """The sources, sorted; examples are held in this order."""
        return self.data.source_ids

    @property
    def replicates(self) -> list[Replicate]:
        """The trained replicates.

        Raises:
            SimulationError: the study is not trained yet.
        """
        if self._replicates is None:
            raise SimulationError("The study is not trained yet. Call study.train() first")
        return self._replicates

    def train(self) -> TrainingReport:
        """Train every replicate and record its trajectory; what is there already is not trained again.

        Raises:
            ConfigError: the task breaks the contract on these examples (see `tribute.check_task`).
            SimulationError: the parameters left the finite numbers.
        """
        self.require_contract(self.simulation)
        rows = self.runs.train([self.training.seed + replicate for replicate in range(self.training.replicates)])
        self._replicates, self.learning = [replicate_of(row) for row in rows], [row["learning"] for row in rows]
        return TrainingReport(tuple(rows))

    def require_contract(self, settings: SimulationSettings, queries: QueryTable | None = None) -> None:
        """Check the task on a few examples, and on queries; what was checked before is not checked again.

        Raises:
            ConfigError: names each thing that is refused, with its remedy; see `tribute.check_task`.
        """
        key = f"{self.training.fingerprint()} {settings.fingerprint()} {queries and queries.sha256}"
        if key in self._kept_contracts:
            return
        rows = None if queries is None else query_examples(queries)
        asked = self.task, sources_of(self.data), self.training, [settings], rows, self.readout
        checked(*asked, other_process=self._ray).refuse()
        self._kept_contracts.add(key)

    @contextmanager
    def record(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        clip_norm: float | None = None,
        every: int = 100,
        average: Literal["parts", "examples"] | None = None,
        seed: int | None = None,
    ) -> Iterator[Recorder]:
        """Record a training loop of your own as the next replicate, then check that it can be replayed.

        Inside the block call `recorder.batch(indices)` before each backward pass, with the positions of its
        examples in `study.data`. The mean of `training_loss` over them must be what the loop minimises.

        Args:
            clip_norm, every, average, seed: see `Recorder`.

        Raises:
            ConfigError: the loop cannot be replayed, or minimises another loss; names the cause at its first step.
            SimulationError: the replay drifts from the recorded training; names the first such step.
        """
        before = self.training.recordings
        folder = self.folder / f"recording-{len(before)}"
        options = clip_norm, every, average
        recorder = Recorder(folder, model, optimizer, *options, task=self.task, data=self.data, seed=seed)
        yield recorder
        recorder.close()
        more = {"recordings": (*before, folder), "replicates": len(before) + 1}
        self.training = TrainingSettings(**self.training.model_dump() | read_recording(folder).settings | more)
        self.train()

    def close(self) -> None:
        """Delete temporary files and end the Ray workers now, instead of with the study."""
        self._held.close()


def _with_replicates(training: TrainingSettings, replicates: int | None) -> TrainingSettings:
    if replicates is None:
        return training
    if replicates < 1:
        raise ConfigError(f"replicates is {replicates}. Train under at least one seed")
    if "replicates" in training.model_fields_set and training.replicates != replicates:
        raise ConfigError(
            f"replicates is {replicates}, training.replicates is {training.replicates}. Give replicates= alone"
        )
    return training.model_copy(update={"replicates": replicates})


def _kept_checkpoint(checkpoint: str | Path | nn.Module | Mapping[str, Tensor], folder: Path) -> Path:
    """The safetensors file of a module's parameters; written to `folder` unless it is a file already.

    Raises:
        ConfigError: there is no such file, or something named is no tensor.
    """
    if isinstance(checkpoint, str | Path):
        if not Path(checkpoint).is_file():
            raise ConfigError(f"Checkpoint {checkpoint} does not exist. Give a module, or a safetensors file")
        return Path(checkpoint)
    named = dict(checkpoint.named_buffers()) if isinstance(checkpoint, nn.Module) else {}
    named |= checkpoint.state_dict() if isinstance(checkpoint, nn.Module) else checkpoint
    other = [name for name, value in named.items() if not isinstance(value, Tensor)]
    if other:
        raise ConfigError(f"The checkpoint holds {', '.join(other[:5])}, no tensors. Give named tensors only")
    content = safetensors.torch.save(
        {name: value.detach().cpu().clone().contiguous() for name, value in named.items()}
    )
    path = folder / f"checkpoint-{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path
