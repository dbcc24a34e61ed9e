"""`project.yaml`: every setting of a project, with its default, unit and meaning, checked before any work starts.

Relative paths are relative to the folder of `project.yaml`. An unknown key is an error that names the nearest
known one: a misspelt setting must never be silently ignored by a system that pays people.
"""

import difflib
import hashlib
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tribute.errors import ConfigError


class Section(BaseModel):
    """A part of `project.yaml`: immutable, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def fingerprint(self) -> str:
        """SHA-256 of the settings; a file counts by its name, so that a project can live anywhere."""
        content = json.dumps(self.model_dump(), sort_keys=True, default=lambda path: path.name)
        return hashlib.sha256(content.encode()).hexdigest()


class CorpusSection(Section):
    """What every kind of corpus has."""

    revision: int = Field(1, ge=1, description="raise it when the content has changed on purpose")
    held_out: float = Field(0.1, ge=0, lt=1, description="part of every source kept out of training, for queries")


class InstalledDocs(CorpusSection):
    """Docstrings and prose of the distributions that are installed beside tribute, and of the standard library."""

    kind: Literal["installed_docs"]
    sources: int = Field(10, ge=2, description="how many distributions, the largest first")
    max_bytes: int = Field(640_000, ge=10_000, description="text taken in all; a source gets its part by size")
    window: int = Field(65, ge=2, description="bytes per example: a context of window - 1 and its next bytes")


class TextCorpus(CorpusSection):
    """A folder of text files (one folder per source), or a .jsonl or .parquet file with a source column."""

    kind: Literal["text"]
    path: Path
    source_column: str = "source"
    text_column: str = "text"
    window: int = Field(65, ge=2, description="bytes per example: a context of window - 1 and its next bytes")


class ArraysCorpus(CorpusSection):
    """A .parquet file: a fixed-size-list feature column, an integer label column and a source column."""

    kind: Literal["arrays"]
    path: Path
    source_column: str = "source"
    features_column: str = "features"
    label_column: str = "label"


class IdxCorpus(CorpusSection):
    """IDX files (plain or .gz) of images and labels, and a text file with one source id per example."""

    kind: Literal["idx"]
    images: Path
    labels: Path
    assignment: Path = Field(description="line i holds the source id of example i; its length bounds the corpus")


Corpus = Annotated[InstalledDocs | TextCorpus | ArraysCorpus | IdxCorpus, Field(discriminator="kind")]


class HeldOutQueries(Section):
    """Queries from the held-out part of the corpus itself: the same number of every source."""

    kind: Literal["held_out"] = "held_out"
    per_source: int = Field(24, ge=1)


class UsageQueries(Section):
    """A .jsonl or .parquet file of usage events.

    Columns: `query_id`, and `text` (text corpora) or `features` and `label` (arrays); optionally `time`
    (RFC 3339), `customer_id`, `weight` (1) and `inclusion_probability` (1).
    """

    kind: Literal["usage"]
    path: Path


class IdxQueries(Section):
    """Queries from a pair of IDX files, in file order."""

    kind: Literal["idx"]
    images: Path
    labels: Path
    limit: int | None = Field(None, ge=1)


Queries = Annotated[HeldOutQueries | UsageQueries | IdxQueries, Field(discriminator="kind")]


class Rights(Section):
    """Who is paid for which source."""

    sources: Path | None = Field(
        None, description="CSV, YAML or Parquet: source_id, publisher_id, split, valid_from, valid_to"
    )
    publishers: Path | None = Field(None, description="CSV, YAML or Parquet: publisher_id, name")


class TaskSettings(Section):
    """The model and its two functions: a built-in name, or `package.module:factory` for your own."""

    name: str = Field("byte_lm", description="byte_lm, classifier, or package.module:factory")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the factory")


class Training(Section):
    """How the model is trained: one step is a pure function of state, batch and learning rate."""

    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1, description="part of the steps over which the rate rises")
    final_rate: float = Field(0.1, ge=0, le=1, description="last learning rate as a part of the peak")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd only")
    betas: tuple[float, float] = Field((0.9, 0.99), description="adamw only")
    eps: float = Field(1e-8, gt=0, description="adamw only; added inside the square root")
    weight_decay: float = Field(0.0, ge=0)
    batch_size: int = Field(32, ge=1)
    epochs: float = Field(1.0, gt=0, description="passes over the training examples")
    seed: int = Field(0, ge=0, description="replicate r is trained with seed + r; replicate 0 is the model valued")
    replicates: int = Field(3, ge=1, description="how many seeds to train and simulate")


class Simulation(Section):
    """How each source's response is simulated."""

    mode: Literal["paired"] = "paired"
    horizon: float = Field(0.5, gt=0, le=1, description="last part of the training, in learning-rate mass")
    epsilon: float = Field(1.0, gt=0, le=1, description="how much of the source's weight is taken away")
    chunk: int = Field(8, ge=1, description="sources simulated in one batch of trajectories")


class Valuation(Section):
    """From influence to shares."""

    shrinkage: Literal["auto"] | float = Field("auto", description="0 = attribution alone, 1 = token count alone")
    resamples: int = Field(1000, ge=100, description="bootstrap resamples behind the intervals")

    @field_validator("shrinkage")
    @classmethod
    def _in_unit_interval(cls, value: str | float) -> str | float:
        if isinstance(value, float) and not 0 <= value <= 1:
            raise ValueError("shrinkage is 'auto' or a number from 0 to 1")
        return value


class Pool(Section):
    """The money of a period; `amount` is text, so that no digit is lost to binary fractions."""

    amount: str = "10000.00"
    currency: str = Field("EUR", description="ISO 4217 code")

    @field_validator("amount", mode="before")
    @classmethod
    def _is_exact(cls, value: object) -> str:
        if isinstance(value, float):
            raise ValueError(f"write the amount in quotes, as text: amount: '{value}'")
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a decimal number such as '10000.00'") from None
        if not amount.is_finite() or amount < 0:
            raise ValueError(f"{value!r} is not a finite amount of at least 0")
        return str(value)


class Cluster(Section):
    """Where Ray runs; nothing here changes a result."""

    address: str = Field("local", description="'local' starts Ray here; 'auto' or host:port joins a cluster")
    workers: int = Field(2, ge=1)
    gpus_per_worker: float | None = Field(None, ge=0, description="default: what the cluster has, shared")


class Tracking(Section):
    """MLflow; an outage of it fails nothing."""

    uri: str | None = Field(None, description="default: SQLite in the working folder")
    enabled: bool = True


class Serving(Section):
    """The Ray Serve application."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    max_queries: int = Field(256, ge=1, description="per request")
    request_timeout_s: float = Field(60, gt=0)


class Project(Section):
    """A whole project, as read from `project.yaml`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    workdir: Path = Path("tribute-data")
    corpus: Corpus
    rights: Rights = Rights()
    task: TaskSettings = TaskSettings()
    training: Training = Training()
    simulation: Simulation = Simulation()
    queries: Queries = HeldOutQueries()
    valuation: Valuation = Valuation()
    pool: Pool = Pool()
    cluster: Cluster = Cluster()
    tracking: Tracking = Tracking()
    serving: Serving = Serving()

    @property
    def lake_root(self) -> Path:
        """Folder of the lake's tables."""
        return self.workdir / "lake"

    @property
    def artifacts(self) -> Path:
        """Folder of checkpoints, responses, corpus snapshots and statements."""
        return self.workdir / "artifacts"


def load_project(path: Path) -> Project:
    """Read and check `project.yaml`.

    Raises:
        ConfigError: the file is missing, is not YAML, or has an unknown key or a bad value; names all of them.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist. Write one with: tribute init DIR")
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold settings (`name: ...`), got {type(raw).__name__}")
    try:
        project = Project.model_validate(raw)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain(item, raw)}" for item in error.errors())
        raise ConfigError(f"{path} has {error.error_count()} problem(s):\n{lines}") from None
    resolved: Project = _resolve(project, path.resolve().parent)
    return resolved


def period_days(period: str) -> tuple[str, str]:
    """First day of a `YYYY-MM` period and first day after it, as ISO dates.

    Raises:
        ConfigError: `period` is not a month.
    """
    year, dash, month = period.partition("-")
    if not (dash and len(year) == 4 and len(month) == 2 and (year + month).isdigit() and 1 <= int(month) <= 12):
        raise ConfigError(f"Period {period!r} is not a month. Write it as YYYY-MM, for example 2026-10")
    after = divmod(int(year) * 12 + int(month), 12)
    return f"{period}-01", f"{after[0]:04d}-{after[1] + 1:02d}-01"


def _explain(item: Any, raw: dict[str, Any]) -> str:
    kinds = {"installed_docs", "text", "arrays", "idx", "held_out", "usage"}
    where = [str(part) for part in item["loc"]]
    key = ".".join(part for index, part in enumerate(where) if not (index and part in kinds))
    if item["type"] != "extra_forbidden":
        return f"{key}: {item['msg']}"
    known = _known_keys(where[:-1], raw)
    near = difflib.get_close_matches(where[-1], known, n=1)
    return f"{key}: unknown key. " + (f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}")


def _known_keys(where: list[str], raw: dict[str, Any]) -> list[str]:
    section: Any = Project
    for part in where:
        field = getattr(section, "model_fields", {}).get(part)
        if field is not None:
            section, raw = field.annotation, raw.get(part, {})
    options = get_args(section) or (section,)
    chosen = [o for o in options if raw.get("kind") in get_args(_annotation_of_kind(o))]
    return sorted((chosen or options)[0].model_fields)


def _annotation_of_kind(section: type[Section]) -> Any:
    field = section.model_fields.get("kind")
    return field.annotation if field else None


def _resolve(section: Any, base: Path) -> Any:
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            changes[name] = _resolve(value, base)
        elif isinstance(value, Path):
            changes[name] = base / value.expanduser()
    return section.model_copy(update=changes)
