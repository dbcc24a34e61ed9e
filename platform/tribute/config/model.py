"""Settings of the model: its task, its training, the simulation of its sources, and their calibration."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tribute.config.section import Settings


class TaskSettings(Settings):
    """The model and its two functions: a built-in name, or `package.module:factory` for your own."""

    name: str = Field("byte_lm", description="byte_lm, classifier, or package.module:factory")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the factory")


class TrainingSettings(Settings):
    """How the model is trained: one step is a pure function of state, batch and learning rate.

    A training of your own is taken over with `recordings` (a folder per replicate, written by
    `tribute.training.Recorder`) or, when only its result is left, with `checkpoint`.

    >>> tribute.TrainingSettings(optimizer="sgd", epochs=3).learning_rate
    0.003
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1, description="part of the steps over which the rate rises")
    final_rate: float = Field(0.1, ge=0, le=1, description="last learning rate as a part of the peak")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd only")
    nesterov: bool = Field(False, description="sgd only")
    betas: tuple[float, float] = Field((0.9, 0.99), description="adam and adamw only")
    eps_root: float = Field(1e-8, ge=0, description="adam and adamw: added inside the square root")
    eps: float = Field(0.0, ge=0, description="adam and adamw: added outside the square root, as torch.optim does")
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float | None = Field(None, gt=0, description="largest global norm of the gradient")
    batch_size: int = Field(32, ge=1)
    accumulation: int = Field(1, ge=1, description="parts in which a batch's gradient is computed, to save memory")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of forward and backward passes")
    epochs: float = Field(1.0, gt=0, description="passes over the training examples")
    seed: int = Field(0, ge=0, description="replicate r is trained with seed + r; replicate 0 is the model valued")
    replicates: int = Field(3, ge=1, description="how many seeds to train and simulate")
    recordings: tuple[Path, ...] = Field((), description="folders of your own recorded trainings, one a replicate")
    checkpoint: Path | None = Field(None, description="safetensors file of a model trained elsewhere")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.batch_size % self.accumulation:
            raise ValueError(f"accumulation {self.accumulation} does not divide batch_size {self.batch_size}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        if self.recordings and self.checkpoint:
            raise ValueError("give recordings or a checkpoint, not both")
        if self.recordings and self.replicates != len(self.recordings):
            raise ValueError(f"replicates is {self.replicates}, but there are {len(self.recordings)} recordings")
        return self


SIMULATED = ("paired", "tangent")
"""Modes that simulate responses; any other is the name of an estimator."""

OF_SIMULATIONS = (
    *("base", "horizon", "weight", "epsilon", "scope", "curvature", "coalitions"),
    *("steps", "learning_rate", "damping", "smoothness_sources"),
)
"""Settings of simulations that no estimator looks at."""


class SimulationSettings(Settings):
    """How each source's response is simulated.

    >>> tribute.SimulationSettings(horizon=0.5).mode
    'paired'
    """

    mode: str = Field(
        "paired", description="paired (two trajectories), tangent (the exact derivative), or an estimator's name"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="of an estimator; see tribute.estimators")
    base: Literal["replay", "continue"] = Field("replay", description="the last steps again, or further steps")
    horizon: float = Field(0.2, gt=0, le=1, description="replay: last part of the training, in learning-rate mass")
    weight: float = Field(1.0, gt=0, le=1, description="weight of all sources around which one is taken away")
    epsilon: float = Field(1.0, gt=0, le=1, description="paired: how much of the source's weight is taken away")
    scope: str = Field("all", description="parameters that respond: all, last_block, head, lora, or a regex")
    curvature: Literal["hessian", "gauss_newton"] = Field("hessian", description="tangent only")
    notion: Literal["leave_one_out", "banzhaf", "shapley"] = "leave_one_out"
    coalitions: int = Field(64, ge=4, description="banzhaf, shapley (10 a source): sampled coalitions")
    groups: int = Field(
        64,
        ge=2,
        description="leave_one_out: most sources, or groups of them, simulated; beside an estimator: most sources "
        "that `calibration.estimates` may simulate and `tribute evaluate` may retrain one by one",
    )
    steps: int = Field(200, ge=1, description="continue: how many steps")
    learning_rate: float | None = Field(None, gt=0, description="continue: default, the training's last rate")
    damping: float = Field(0.0, ge=0, description="continue: pull towards the checkpoint, lambda / 2 |theta|^2")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of simulated and retrained forward and backward passes; parameters stay float32"
    )
    smoothness_sources: int = Field(2, ge=0, description="sources whose response is checked at half the size")
    memory_gib: float = Field(2.0, gt=0, description="of the trajectories that a worker runs in one batch")
    chunk: int = Field(32, ge=1, description="most sources in one batch of trajectories, memory permitting")
    checkpoint_every: int = Field(200, ge=1, description="steps after which a simulation's state is kept")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.options and not self.estimated:
            raise ValueError(f"options are for estimators; {self.mode} has settings of its own beside them")
        if self.mode == "paired" and self.epsilon > self.weight:
            raise ValueError(f"epsilon {self.epsilon} takes away more than weight {self.weight}")
        if self.notion != "leave_one_out" and (self.mode, self.weight, self.epsilon) != ("paired", 1.0, 1.0):
            raise ValueError(f"{self.notion} simulates coalitions: it needs mode paired, weight 1 and epsilon 1")
        idle = [name for name in OF_SIMULATIONS if self.estimated and name in self.model_fields_set]
        if idle:
            raise ValueError(
                f"mode {self.mode} is an estimator, which simulates nothing: {', '.join(idle)} would have no "
                "effect. Leave that out; an estimator's own settings go under options"
            )
        return self

    def changed(self, keys: dict[str, Any]) -> "SimulationSettings":
        """These settings with some keys changed; another mode takes over only what it understands."""
        own = self.model_dump(exclude_unset=True)
        mode = keys.get("mode", self.mode)
        idle = set() if mode in SIMULATED else set(OF_SIMULATIONS)
        if mode != self.mode:
            idle.add("options")
        return SimulationSettings.model_validate({name: own[name] for name in own.keys() - idle} | keys)

    def retraining(self, chunk: int = 32) -> "SimulationSettings":
        """Real retraining: every step again without the source, nothing approximated.

        Args:
            chunk: most sources, or sets of sources, in one batch of trajectories.
        """
        return SimulationSettings(
            horizon=1.0,
            memory_gib=self.memory_gib,
            precision=self.precision,
            checkpoint_every=self.checkpoint_every,
            smoothness_sources=0,
            chunk=chunk,
        )

    def _not_counted(self) -> set[str]:
        return ({"groups"} if self.estimated else set()) | (set() if self.options else {"options"})

    @property
    def estimated(self) -> bool:
        """Whether an estimator of `tribute.estimators` takes the place of a simulation."""
        return self.mode not in SIMULATED


class CalibrationSettings(Settings):
    """Real retraining without a few randomly drawn sources, to which the simulated values are calibrated.

    For leave_one_out, and trainings that can be repeated. Without it values are shrunk by a rule of thumb and
    intervals are wider.

    >>> tribute.CalibrationSettings(spot_sources=8).spot_sources
    8
    """

    spot_sources: int = Field(
        4, ge=0, description="sources that are really left out, in every replicate; 0 = none"
    )
    seed: int = Field(0, ge=0, description="of the draw of those sources")
    estimates: tuple[dict[str, Any], ...] = Field(
        (), description="further simulations or estimators to calibrate on: the keys that differ from `simulation`"
    )


class ReadoutSettings(Settings):
    """From responses to the influences of queries."""

    method: Literal["auto", "difference", "jvp", "shared_trunk", "adjoint", "distilled"] = Field(
        "auto",
        description="auto: the removal itself for paired responses at weight and epsilon 1, else the derivative; "
        "of methods with the same numbers the cheapest here; distilled where `precision` allows and it is cheaper",
    )
    backward: bool = Field(False, description="whether auto may take `adjoint`: a backward pass per query")
    precision: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="what distilled totals may be off: half the 95% interval of every source's total, as a part "
        "of all of them; empty: every query is read out exactly",
    )
    memory_gib: float = Field(1.0, gt=0, description="of the parameters and activations evaluated at once")
    seed: int = Field(0, ge=0, description="of the draw of the queries that are read out exactly")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.method == "distilled" and self.precision is None:
            raise ValueError("distilled needs readout.precision, such as 0.01")
        return self

    def fingerprint(self) -> str:
        """Without what changes only rounding."""
        return Settings.fingerprint(self.model_copy(update={"memory_gib": 1.0}))


class EvaluationSettings(Settings):
    """What `tribute evaluate` really retrains, to judge what is paid by."""

    seeds: int = Field(2, ge=1, description="other seeds under which every source is really left out")
    first_seed: int = Field(1_000_000, ge=0, description="the first of them, added to training.seed")
    subsets: int = Field(50, ge=10, description="random halves, and tenths, of the corpus that are left out (LDS)")
    queries: int = Field(400, ge=20, description="most queries; half of them tune, the figures come from the rest")
    estimators: tuple[str, ...] = Field((), description="others to judge beside it, by name; [all]: every one")
    brittle_queries: int = Field(4, ge=0, description="queries whose first sources are really left out together")
    resamples: int = Field(
        400, ge=100, description="bootstrap resamples behind the intervals of rank correlations"
    )

    def _not_counted(self) -> set[str]:
        return set() if self.estimators else {"estimators"}
