"""A whole project, and the settings of money, cluster, tracking and service."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from tribute.config.corpus import CorpusSettings, HeldOutQueriesSettings, QueriesSettings
from tribute.config.model import (
    NARROW,
    SIMULATED,
    AttributionSettings,
    EvaluationSettings,
    ReadoutSettings,
    SimulationSettings,
    TaskSettings,
    TrainingSettings,
)
from tribute.config.money import MoneySettings, PoolSettings, RightsSettings
from tribute.config.section import Settings
from tribute.config.valuation import ValuationSettings, refuse_calibration
from tribute.ids import excerpt, short


class ClusterSettings(Settings):
    """Where Ray runs; no setting here changes a result."""

    address: str = Field("local", description="'local' starts Ray here; 'auto' or host:port joins a cluster")
    workers: StrictInt = Field(2, ge=1)
    gpus_per_worker: StrictFloat | None = Field(
        None, ge=0, description="default: the GPUs of the cluster, shared evenly"
    )
    placement: Literal["PACK", "SPREAD"] = Field("PACK", description="place workers on few nodes, or on many")
    start_timeout_s: StrictFloat = Field(300, gt=0, description="how long to wait until all workers can start")


class TrackingSettings(Settings):
    """MLflow; an outage does not stop a run."""

    uri: str | None = Field(None, description="default: SQLite in the working folder")
    enabled: StrictBool = True


class ServingSettings(Settings):
    """The Ray Serve application; no setting here changes a result."""

    host: str = Field("127.0.0.1", description="another address than this machine's own needs a key: tribute keys")
    port: StrictInt = Field(8000, ge=1, le=65535)
    max_queries: StrictInt = Field(256, ge=1, description="per request")
    max_text_bytes: StrictInt = Field(100_000, ge=2, description="of one query; it is read in windows")
    max_body_bytes: StrictInt = Field(16 * 2**20, ge=1024, description="of one request")
    request_timeout_s: StrictFloat = Field(60, gt=0, description="after that a request is answered with 504")
    max_waiting: StrictInt = Field(
        256, ge=1, description="requests that wait or are being answered; another one is answered with 503"
    )
    replicas: StrictInt = Field(
        1,
        ge=1,
        description="processes that hold the model, at least; with one of them at most, one outbox and no GPU, "
        "all of the service is one process",
    )
    max_replicas: StrictInt | None = Field(None, ge=1, description="at most, under load; default: `replicas`")
    models_per_replica: StrictInt = Field(
        3, ge=1, description="of several projects that are served together; the one used least recently goes"
    )
    batch_tokens: StrictInt = Field(
        8192, ge=1, description="tokens read out together; a long text takes turns with the others"
    )
    writers: StrictInt = Field(1, ge=1, description="outboxes; a use goes to one by the hash of its id")
    flush_every_s: StrictFloat = Field(30, gt=0, description="uses are in the lake after that time")
    flush_uses: StrictInt = Field(10_000, ge=1, description="or as soon as so many wait in an outbox")
    keep_content_days: StrictFloat = Field(
        0,
        ge=0,
        description="how long the content of recorded uses is kept, for its page; 0: not at all",
    )
    requests_per_minute: StrictInt | None = Field(None, ge=1, description="of a key without a limit of its own")
    queries_per_minute: StrictInt | None = Field(
        None, ge=1, description="likewise, of the queries in these requests"
    )

    https: bool = Field(
        False,
        description="people reach the service through a proxy with HTTPS: a session's cookie goes nowhere else",
    )

    @model_validator(mode="after")
    def _replicas_are_a_range(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(
                f"serving.max_replicas is {self.max_replicas}, fewer than serving.replicas, {self.replicas}. "
                "Raise it, or leave it out"
            )
        return self


class Project(Settings):
    """A whole project, as read from `project.yaml`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)
    workdir: Path = Path("tribute-data")
    lake: str | None = Field(
        None, description="folder or URI of the lake, such as s3://bucket/lake; default: in workdir"
    )
    corpus: CorpusSettings
    rights: RightsSettings = RightsSettings()
    task: TaskSettings = TaskSettings()
    training: TrainingSettings = TrainingSettings()
    attribution: AttributionSettings = AttributionSettings()
    simulation: SimulationSettings = SimulationSettings()
    readout: ReadoutSettings = ReadoutSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    queries: QueriesSettings = HeldOutQueriesSettings()
    valuation: ValuationSettings = ValuationSettings()
    pool: PoolSettings = PoolSettings()
    pools: tuple[PoolSettings, ...] = Field(
        (), description="several pools, each with its own id, instead of `pool`"
    )
    policy: dict[str, Any] = Field({}, description="how values become shares; see tribute.royalty, Policy")
    money: MoneySettings = MoneySettings()
    cluster: ClusterSettings = ClusterSettings()
    tracking: TrackingSettings = TrackingSettings()
    serving: ServingSettings = ServingSettings()

    @model_validator(mode="before")
    @classmethod
    def _no_calibration(cls, sections: Any) -> Any:
        """Refuse the section that `valuation` has replaced, and say what to write instead."""
        if isinstance(sections, dict) and "calibration" in sections:
            refuse_calibration(sections["calibration"], sections.get("training"))
        return sections

    @model_validator(mode="before")
    @classmethod
    def _nothing_held_out_for_uses(cls, sections: Any) -> Any:
        """Hold nothing out where no query needs it, unless the project says how much."""
        corpus, queries = (
            (sections.get(name) for name in ("corpus", "queries")) if isinstance(sections, dict) else (0, 0)
        )
        if not isinstance(corpus, dict) or not isinstance(queries, dict) or "held_out" in corpus:
            return sections
        asked = queries.get("kind", "held_out") == "held_out"
        return sections if asked else sections | {"corpus": corpus | {"held_out": 0.0}}

    @model_validator(mode="before")
    @classmethod
    def _estimator_as_mode(cls, sections: Any) -> Any:
        """Store the estimator of `attribution` as the mode of `simulation`, which stages and fingerprints read."""
        attribution = sections.get("attribution") if isinstance(sections, dict) else None
        simulation = sections.get("simulation", {}) if isinstance(sections, dict) else None
        if not isinstance(simulation, dict) or not isinstance(attribution or {}, dict):
            return sections
        method, mode = (attribution or {}).get("method", "simulation"), simulation.get("mode")
        if mode not in (None, *SIMULATED):
            raise ValueError(
                f"simulation.mode {excerpt(mode)} is neither paired nor tangent. For an estimator, remove it and "
                f"write attribution: {{method: {short(str(mode))}}}"
            )
        if method == "simulation" or not isinstance(method, str):
            return sections
        idle = [name for name in ("mode", "options") if name in simulation]
        if idle:
            raise ValueError(
                f"attribution.method {short(method)} is an estimator, so simulation.{idle[0]} would have no "
                "effect. Remove it; the options of the estimator go under attribution.options"
            )
        options = {name: value for name, value in (attribution or {}).items() if name == "options"}
        return sections | {"simulation": simulation | {"mode": method} | options}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        estimated, further = self.simulation.estimated, self.further_simulations()
        simulated = [each for each in (self.simulation, *further) if not each.estimated]
        if self.training.checkpoint and any(each.base != "continue" for each in simulated):
            raise ValueError(
                "training.checkpoint has no recorded steps to replay. Set simulation.base to continue"
            )
        if not estimated and self.readout.method in NARROW and self.simulation.scope == "all":
            raise ValueError(f"readout.method {self.readout.method} needs a narrow simulation.scope, such as head")
        only = estimated and all(each.estimated for each in further)
        if only and self.readout.method not in ("auto", "distilled"):
            raise ValueError(
                f"readout.method {self.readout.method} is for simulations, but attribution.method "
                f"{short(self.simulation.mode)} is an estimator with its own read-out. Set readout.method to auto"
            )
        if not self.pools and "pools" in self.model_fields_set:
            raise ValueError("pools is empty. List a pool, or remove the key")
        if self.pools and "pool" in self.model_fields_set:
            raise ValueError("give pool or pools, not both")
        ids = [pool.id for pool in self.pools]
        if len(set(ids)) < len(ids):
            raise ValueError(f"pools has two pools of one id: {', '.join(ids)}. Give each an id of its own")
        return self

    def divided(self) -> tuple[PoolSettings, ...]:
        """All pools of a period."""
        return self.pools or (self.pool,)

    def further_simulations(self) -> list[SimulationSettings]:
        """Settings of the further estimates, which real trainings weigh."""
        return self.valuation.further(self.simulation, trains=self.trains_without_sources)

    @property
    def weighed_estimates(self) -> tuple[dict[str, Any], ...]:
        """The further estimates as they are written, in the order of `further_simulations`."""
        return self.valuation.weighed(self.simulation, trains=self.trains_without_sources)

    @property
    def trains_without_sources(self) -> bool:
        """Whether real trainings can measure the values: not of semivalues."""
        return self.simulation.notion == "leave_one_out"

    @property
    def lake_root(self) -> str:
        """Folder or URI of the lake's tables."""
        return self.lake or str(self.workdir / "lake")

    @property
    def artifacts(self) -> Path:
        """Folder of checkpoints, responses, corpus snapshots and statements."""
        return self.workdir / "artifacts"
