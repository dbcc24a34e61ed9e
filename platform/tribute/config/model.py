"""Settings of task, training, attribution, simulation, read-out and evaluation."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, StrictBool, StrictFloat, StrictInt, model_validator

from tribute.config.section import Settings
from tribute.ids import short
from tribute.royalty.document import Repetition


class TaskSettings(Settings):
    """The task: a built-in name, or `package.module:factory` for your own."""

    name: str = Field("byte_lm", description="byte_lm, classifier, huggingface, or package.module:factory")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the factory")
    _folder: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path | None:
        """The folder of `project.yaml`, where `package.module` may lie; no setting, and it changes no run id."""
        return self._folder

    def located(self, value: str) -> str:
        """A file or folder of the options: beside `project.yaml` if it is there, else as it is written."""
        if self._folder is not None and 0 < len(value) < 1024 and "\0" not in value:
            place = self._folder / Path(value).expanduser()
            return str(place) if place.exists() else value
        return value

    def beside(self, folder: Path) -> Self:
        """The same task, of a `project.yaml` in this folder."""
        task = self.model_copy()
        task._folder = folder
        return task


class TrainingSettings(Settings):
    """Training of the model.

    To value a model from your own training loop, set `recordings` (a folder per replicate, written by
    `tribute.training.Recorder`), or `checkpoint` if only the final weights exist.

    >>> tribute.TrainingSettings(optimizer="sgd", epochs=3).learning_rate
    0.003
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: StrictFloat = Field(3e-3, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    warmup: StrictFloat = Field(0.05, ge=0, lt=1, description="share of the steps over which the rate rises")
    final_rate: StrictFloat = Field(0.1, ge=0, le=1, description="last learning rate as a share of the peak")
    momentum: StrictFloat = Field(0.9, ge=0, lt=1, description="sgd only")
    nesterov: StrictBool = Field(False, description="sgd only")
    betas: tuple[StrictFloat, StrictFloat] = Field((0.9, 0.99), description="adam and adamw only")
    eps_root: StrictFloat = Field(1e-8, ge=0, description="adam and adamw: added inside the square root")
    eps: StrictFloat = Field(
        0.0, ge=0, description="adam and adamw: added outside the square root, as torch.optim does"
    )
    weight_decay: StrictFloat = Field(0.0, ge=0)
    clip_norm: StrictFloat | None = Field(None, gt=0, description="largest global norm of the gradient")
    batch_size: StrictInt = Field(32, ge=1)
    accumulation: StrictInt = Field(1, ge=1, description="micro-batches per batch, to save memory")
    precision: Literal["float32", "bfloat16", "mixed_bfloat16"] = Field(
        "float32",
        description="precision of forward and backward passes; mixed_bfloat16: that of `torch.autocast`, as "
        "bf16=True of a Trainer",
    )
    epochs: StrictFloat = Field(1.0, gt=0, description="passes over the training examples")
    seed: StrictInt = Field(
        0, ge=0, description="replicate r is trained with seed + r; replicate 0 is the valued model"
    )
    replicates: StrictInt = Field(3, ge=1, description="number of seeds to train and simulate")
    recordings: tuple[Path, ...] = Field((), description="folders of recorded training loops, one per replicate")
    checkpoint: Path | None = Field(None, description="safetensors file of a model trained elsewhere")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulation {self.accumulation}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum above 0")
        if self.recordings and self.checkpoint:
            raise ValueError("give recordings or a checkpoint, not both")
        if self.recordings and self.replicates != len(self.recordings):
            raise ValueError(f"replicates is {self.replicates}, but there are {len(self.recordings)} recordings")
        return self

    @property
    def repetition(self) -> Repetition:
        """How the model is trained without some sources."""
        return "continued" if self.checkpoint else "replayed" if self.recordings else "retrained"


NARROW = ("shared_trunk", "shared_head")
"""Values of `readout.method` for which some parameters must lie outside `simulation.scope`."""

OF_FURTHER_STEPS = ("steps", "learning_rate", "damping")
"""Settings of `simulation` that say how a checkpoint is trained further."""

SIMULATED = ("paired", "tangent")
"""Modes of `simulation`; `attribution.method` stores the name of an estimator in their place."""

OF_SIMULATIONS = (
    *("base", "horizon", "weight", "epsilon", "scope", "curvature", "coalitions"),
    *("steps", "learning_rate", "damping", "smoothness_sources", "response_precision"),
)
"""Settings of simulations that estimators ignore."""


class AttributionSettings(Settings):
    """The method of attribution: `simulation`, or an estimator."""

    method: str = Field("simulation", description="simulation, or an estimator; `tribute estimators` lists them")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the estimator")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.options and self.method == "simulation":
            raise ValueError("options are for estimators; those of a simulation go under simulation")
        return self


class SimulationSettings(Settings):
    """Simulation of the response to each source. Estimators use `groups`, `memory_gib` and `chunk`, too.

    >>> tribute.SimulationSettings(horizon=0.5).mode
    'paired'
    """

    mode: str = Field("paired", description="paired (two trajectories) or tangent (the exact derivative)")
    options: dict[str, Any] = Field(default_factory=dict, description="set by attribution.options, not here")
    base: Literal["replay", "continue"] = Field(
        "replay", description="repeat the last steps, or take further steps"
    )
    horizon: StrictFloat = Field(
        0.2, gt=0, le=1, description="replay: last part of the training, as a share of the learning-rate mass"
    )
    weight: StrictFloat = Field(1.0, gt=0, le=1, description="weight of all sources in the unperturbed run")
    epsilon: StrictFloat = Field(
        1.0, gt=0, le=1, description="paired: by how much the weight of a source is lowered"
    )
    scope: str = Field("all", description="parameters that respond: all, last_block, head, lora, or a regex")
    curvature: Literal["hessian", "gauss_newton"] = Field("hessian", description="tangent only")
    notion: Literal["leave_one_out", "banzhaf", "shapley"] = "leave_one_out"
    coalitions: StrictInt = Field(
        64, ge=4, description="banzhaf, shapley (10 a source): largest number of coalitions; all of them: exact"
    )
    groups: StrictInt = Field(
        64,
        ge=2,
        description="leave_one_out: largest number of sources, or groups of sources, to simulate; with an "
        "estimator: largest number of sources for `valuation.estimates` and `tribute evaluate`",
    )
    steps: StrictInt = Field(200, ge=1, description="continue: number of steps")
    learning_rate: StrictFloat | None = Field(
        None, gt=0, description="continue: default is the last rate of the training"
    )
    damping: StrictFloat = Field(
        0.0, ge=0, description="continue: lambda of the penalty lambda / 2 |theta - checkpoint|^2"
    )
    precision: Literal["float32", "bfloat16", "mixed_bfloat16"] = Field(
        "float32",
        description="precision of simulated and retrained forward and backward passes; parameters stay float32",
    )
    response_precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="precision of stored responses; bfloat16 halves their files, float32 is exact"
    )
    smoothness_sources: StrictInt = Field(
        2, ge=0, description="number of sources whose response is also simulated at half the size"
    )
    memory_gib: StrictFloat = Field(
        2.0, gt=0, description="memory for the trajectories that a worker runs together"
    )
    chunk: StrictInt = Field(
        32, ge=1, description="largest number of sources simulated together, memory permitting"
    )
    checkpoint_every: StrictInt = Field(200, ge=1, description="steps between checkpoints of a simulation")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.options and not self.estimated:
            raise ValueError(
                f"options are for estimators; the settings of {short(self.mode)} go directly under simulation"
            )
        if self.mode == "paired" and self.epsilon > self.weight:
            raise ValueError(f"epsilon {self.epsilon} is larger than weight {self.weight}. Lower it")
        if self.notion != "leave_one_out" and (self.mode, self.weight, self.epsilon) != ("paired", 1.0, 1.0):
            raise ValueError(f"notion {self.notion} needs mode paired, weight 1 and epsilon 1")
        idle = [name for name in OF_SIMULATIONS if self.estimated and name in self.model_fields_set]
        if idle:
            raise ValueError(
                f"attribution.method {short(self.mode)} is an estimator, so {', '.join(idle)} would have no "
                "effect. Remove that; the options of the estimator go under attribution.options"
            )
        return self

    def changed(self, keys: dict[str, Any]) -> "SimulationSettings":
        """A copy with some keys changed; settings that the new mode ignores are dropped."""
        current = self.model_dump(exclude_unset=True)
        mode = keys.get("mode", self.mode)
        idle = set() if mode in SIMULATED else set(OF_SIMULATIONS)
        if mode != self.mode:
            idle.add("options")
        return SimulationSettings.model_validate({name: current[name] for name in current.keys() - idle} | keys)

    def retraining(self, repetition: Repetition = "retrained", chunk: int = 32) -> "SimulationSettings":
        """Real training without sources, nothing approximated, at most `chunk` sets of them in a batch."""
        further = {"base": "continue"} | {name: getattr(self, name) for name in OF_FURTHER_STEPS}
        return SimulationSettings(
            **(further if repetition == "continued" else {}),
            horizon=1.0,
            memory_gib=self.memory_gib,
            precision=self.precision,
            checkpoint_every=self.checkpoint_every,
            smoothness_sources=0,
            chunk=chunk,
        )

    def _not_counted(self) -> set[str]:
        idle = {"response_precision"} if self.response_precision == "float32" else set()
        return idle | ({"groups"} if self.estimated else set()) | (set() if self.options else {"options"})

    @property
    def whole(self) -> bool:
        """Whether a response is the difference of two whole trainings."""
        compared = (self.mode, self.base, self.horizon, self.weight, self.epsilon, self.scope)
        return compared == ("paired", "replay", 1.0, 1.0, 1.0, "all")

    @property
    def estimated(self) -> bool:
        """Whether an estimator replaces the simulation."""
        return self.mode not in SIMULATED


class ReadoutSettings(Settings):
    """Read-out: from responses to the influences on queries."""

    method: Literal["auto", "difference", "jvp", "shared_trunk", "shared_head", "adjoint", "distilled"] = Field(
        "auto",
        description="auto: the removal itself for paired responses at weight and epsilon 1, else the derivative; "
        "among equivalent methods the cheapest; distilled if `precision` is set and it is cheaper",
    )
    backward: StrictBool = Field(False, description="whether auto may use `adjoint`, a backward pass per query")
    precision: StrictFloat | None = Field(
        None,
        gt=0,
        lt=1,
        description="largest error of distilled totals: half the 95% interval of the total of each source, as a "
        "share of their sum; empty: every query is read out exactly",
    )
    memory_gib: StrictFloat = Field(
        1.0, gt=0, description="memory for parameters and activations evaluated at once"
    )
    seed: StrictInt = Field(0, ge=0, description="seed of the draw of queries that are read out exactly")
    tokens: StrictBool = Field(
        False,
        description="whether a batch also writes `influence_tokens`: influences on each token of the queries that "
        "are read out exactly; for tasks with token_measurement",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.method == "distilled" and self.precision is None:
            raise ValueError("distilled needs readout.precision, such as 0.01")
        return self

    def _not_counted(self) -> set[str]:
        return {"memory_gib", "tokens"}  # one changes only rounding, the other adds a table


class EvaluationSettings(Settings):
    """Retrains of `tribute evaluate`, by which the attribution is judged."""

    seeds: StrictInt = Field(
        2, ge=1, description="number of other seeds under which to retrain without each source"
    )
    first_seed: StrictInt = Field(1_000_000, ge=0, description="first of these seeds, relative to training.seed")
    subsets: StrictInt = Field(
        50, ge=10, description="number of random halves, and of tenths, of the corpus to retrain without (LDS)"
    )
    queries: StrictInt = Field(
        400, ge=20, description="largest number of queries; one half is for tuning, the other for the figures"
    )
    estimators: tuple[str, ...] = Field((), description="names of further estimators to judge; [all]: every one")
    brittle_queries: StrictInt = Field(
        4, ge=0, description="queries for which to retrain without their top sources together"
    )
    resamples: StrictInt = Field(
        400, ge=100, description="bootstrap resamples for the intervals of rank correlations"
    )

    def _not_counted(self) -> set[str]:
        return set() if self.estimators else {"estimators"}
