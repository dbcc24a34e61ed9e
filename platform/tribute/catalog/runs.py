"""Run ids: a stage's output is named after everything that determines it, by content.

A run id is the stage's name and a hash of the previous stage's run id, of the settings that change numbers, of
the bytes of every file read, of the code and the initial model of a task of one's own, and of the versions that
matter. Names and places of files do not count. The same inputs find existing output, a changed one renews exactly
the later stages, and every row of the lake leads back to the corpus.
"""

import hashlib
import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from tribute.catalog.task_code import HUGGINGFACE, pretrained_parts, task_code
from tribute.config import Project, Settings, SimulationSettings, TaskSettings, TrainingSettings
from tribute.config.model import OF_FURTHER_STEPS
from tribute.config.valuation import NEAREST
from tribute.corpus import READER, corpus_content
from tribute.errors import ConfigError
from tribute.files.digests import RememberedDigests
from tribute.files.local_modules import search_beside

RELEASES = {"train": "2", "simulate": "3", "attribute": "2", "retrain": "2", "value": "3"}
"""Raised with every release that computes other numbers in a stage from the same inputs."""


def run_id(stage: str, *determined_by: object) -> str:
    """`stage` and twelve hexadecimal digits of the SHA-256 of everything that determines its output."""
    content = json.dumps(determined_by, sort_keys=True, default=str)
    return f"{stage}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class SimulationRun:
    """A simulation of the project: the main one, which is paid by, or a further estimate."""

    name: str
    run_id: str
    settings: SimulationSettings


@dataclass(frozen=True)
class Identity:
    """The run id of a stage's output, and what determines it: texts and digests by name."""

    run_id: str
    parts: Mapping[str, str]

    @classmethod
    def of(cls, stage: str, *parts: Mapping[str, str]) -> "Identity":
        """The identity of a stage's output."""
        joined = {name: value for each in parts for name, value in each.items()}
        return cls(run_id(stage, joined), joined)


@dataclass(frozen=True)
class Lineage:
    """The runs that do not depend on a period."""

    corpus: Identity
    train: Identity
    simulate: Identity

    @property
    def corpus_run(self) -> str:
        """Run id of the corpus."""
        return self.corpus.run_id

    @property
    def train_run(self) -> str:
        """Run id of the training."""
        return self.train.run_id

    @property
    def simulate_run(self) -> str:
        """Run id of the main simulation."""
        return self.simulate.run_id


_OF_PROJECTS: dict[int, Lineage] = {}


def lineage(project: Project) -> Lineage:
    """Identities of corpus, training and simulation, by what the files held when they were first asked for.

    A project object keeps its lineage, so that a command, or a service, has one from its beginning to its end.

    Raises:
        ConfigError: a file cannot be read; or the task cannot be built.
    """
    key = id(project)
    if key not in _OF_PROJECTS:
        _OF_PROJECTS[key] = _lineage(project)
        weakref.finalize(project, _OF_PROJECTS.pop, key, None)
    return _OF_PROJECTS[key]


def _lineage(project: Project) -> Lineage:
    digests = RememberedDigests(project.workdir / "digests.json")
    sha256 = _readable(digests.sha256)
    contents = corpus_content(project.corpus, sha256)
    corpus = Identity.of("corpus", settings_parts("corpus", project.corpus), contents, {"reader": READER})
    trained = {"corpus": corpus.run_id, "training release": RELEASES["train"], "torch": _version("torch")}
    task = _task_parts(project, sha256)
    train = Identity.of("train", trained, task, settings_parts("training", project.training))
    simulated = {"training": train.run_id, "simulation release": RELEASES["simulate"]}
    simulate = Identity.of("simulate", simulated, settings_parts("simulation", project.simulation))
    digests.remember()
    return Lineage(corpus, train, simulate)


def settings_parts(section: str, settings: Settings) -> dict[str, str]:
    """The counted settings of a section as parts of an identity."""
    return {f"{section}.{name}": json.dumps(value, sort_keys=True) for name, value in settings.counted().items()}


def simulation_runs(project: Project) -> list[SimulationRun]:
    """The main simulation, and the further estimates; semivalues have none."""
    runs, main = lineage(project), project.simulation
    found = [SimulationRun("simulated", runs.simulate_run, main)]
    for index, settings in enumerate(project.further_simulations() if main.notion == "leave_one_out" else []):
        further_run = run_id("simulate", runs.simulate_run, settings.fingerprint())
        found.append(SimulationRun(f"estimate {index}", further_run, settings))
    return found


def retrain_bank(project: Project) -> str:
    """The id of the bank of retrains: it depends on corpus, task and training, except for the seed.

    The seed of recordings counts, since it says whose each seed is; of a checkpoint, the further steps count.
    """
    training, simulation = project.training, project.simulation
    seed = training.seed if training.repetition == "replayed" else 0
    alike = training.model_copy(update={"seed": seed, "replicates": 1}).fingerprint()
    model = {name: part for name, part in lineage(project).train.parts.items() if not name.startswith("training.")}
    further = {name: getattr(simulation, name) for name in OF_FURTHER_STEPS}
    own = [further] if training.repetition == "continued" else []
    return run_id("retrains", model, alike, simulation.precision, *own)


def retrain_run(project: Project, attribute_run: str) -> str:
    """The run that measures real trainings on a batch of queries, until the values are as asked for."""
    return run_id("retrain", attribute_run, RELEASES["retrain"], project.valuation.fingerprint())


def further_estimates(project: Project) -> Identity | None:
    """Identity of the further estimates; None if there are none."""
    further = simulation_runs(project)[1:]
    if not further:
        return None
    parts = {f"{each.name} run": each.run_id for each in further}
    chosen = project.valuation.counted()["estimates"] or [{"mode": NEAREST}]
    return Identity(run_id("estimates", parts), {"valuation.estimates": json.dumps(chosen, sort_keys=True)})


def _task_parts(project: Project, sha256: Callable[[Path], str]) -> dict[str, str]:
    """The task, the user's own code for it, and the files that training starts from."""
    task, training = project.task, project.training
    parts = settings_parts("task", task)
    for name, path in (*adopted_files(training), *named_files(project)):
        parts[f"file {name}"] = sha256(path)
    if task.name == HUGGINGFACE:
        return parts | pretrained_parts(task)
    if ":" not in task.name:
        return parts  # the code and the initial model of built-in tasks are the release's
    search_beside(task.folder)
    code = task_code(task.name.partition(":")[0], sha256)
    found = tuple(sorted((parts | code).items()))
    model = _model_sha256(task.model_dump_json(), training.model_dump_json(), found)
    return parts | {f"code {name}": each for name, each in code.items()} | {"initial model": model}


@lru_cache(maxsize=16)
def _model_sha256(task: str, training: str, contents: tuple[tuple[str, str], ...]) -> str:
    """SHA-256 of the model that training starts from: frozen parameters, buffers and trainable parameters.

    Args:
        contents: digests of the files that the model depends on, so that it is built again when one changes.
    """
    del contents
    settings, begun = TaskSettings.model_validate_json(task), TrainingSettings.model_validate_json(training)
    build_model = import_module("tribute.training").build_model  # PyTorch is loaded for tasks of one's own only
    model = build_model(settings, begun)
    adopted = begun.checkpoint is not None or begun.recordings
    initial = b"" if adopted else model.initial(0).numpy().tobytes()
    return hashlib.sha256(model.frozen_sha256.encode() + initial).hexdigest()


def adopted_files(training: TrainingSettings) -> Iterator[tuple[str, Path]]:
    """Files that a training is taken over from, by setting: of recordings those that name all others by digest."""
    for number, folder in enumerate(training.recordings):
        for name in ("recording.json", "steps.jsonl"):
            yield f"training.recordings[{number}]/{name}", folder / name
    if training.checkpoint:
        yield "training.checkpoint", training.checkpoint


def named_files(project: Project) -> Iterator[tuple[str, Path]]:
    """Files that options of the task name, from the current folder or absolute; of a folder, all files in it.

    Options of `huggingface` are first looked for beside `project.yaml`.
    """
    for name, value in project.task.options.items():
        if not isinstance(value, str) or not 0 < len(value) < 1024 or "\0" in value:
            continue
        path = Path(project.task.located(value) if project.task.name == HUGGINGFACE else value)
        if path.is_file():
            yield f"task.options.{name}", path
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file() and not file.resolve().is_relative_to(project.workdir.resolve()):
                    yield f"task.options.{name}/{file.relative_to(path).as_posix()}", file


def _version(distribution: str) -> str:
    """The version without the part that names the device it was built for."""
    return version(distribution).partition("+")[0]


def _readable(sha256: Callable[[Path], str]) -> Callable[[Path], str]:
    def read(path: Path) -> str:
        try:
            return sha256(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}. Correct its permissions") from None

    return read
