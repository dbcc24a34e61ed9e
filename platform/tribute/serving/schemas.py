"""Requests of the service, checked, and the shape of its answers, as its OpenAPI document shows them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    model_validator,
)

from tribute.corpus.queries import MIN_WEIGHT
from tribute.corpus.readers.usage import LARGEST_WEIGHT
from tribute.files import read_moment
from tribute.ids import LONGEST_ID, checked_id

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
"""How far the clock of a caller may be ahead."""


def _moment(value: object) -> object:
    if isinstance(value, str):
        return read_moment(value)
    if value is None or isinstance(value, datetime):
        return value
    raise ValueError("write the time as text, such as 2026-10-05T12:00:00+00:00")


def _used(moment: datetime) -> datetime:
    if not EARLIEST <= moment <= datetime.now(UTC) + AHEAD:
        raise ValueError(f"expected a time of use from {EARLIEST:%Y-%m-%d} until now, got {moment.isoformat()}")
    return moment.astimezone(UTC)


def _weight(value: float) -> float:
    if value and not MIN_WEIGHT <= value <= LARGEST_WEIGHT:
        raise ValueError(f"expected 0, or a number from {MIN_WEIGHT:g} to {LARGEST_WEIGHT:g}")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_used)]
Weight = Annotated[StrictFloat, AfterValidator(_weight)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID), AfterValidator(checked_id)]
Text = Annotated[str, StringConstraints(min_length=1)]
Level = Literal["source", "publisher"]


class Query(BaseModel):
    """One use of the model. Text models take `text` and its `prompt`; classifiers `features` and their `label`."""

    model_config = ConfigDict(extra="forbid")

    query_id: Id | None = Field(
        None, description="unique per use; a repeated id is recorded once. Default: made by the service"
    )
    prompt: str | None = Field(
        None, description="what the model was given before it wrote `text`: context, which is not measured"
    )
    text: Text | None = Field(None, description="two characters at least, or one after a prompt")
    features: list[Annotated[StrictFloat, Field(allow_inf_nan=False)]] | None = None
    label: StrictInt | None = Field(None, ge=0, lt=2**63)
    time: Moment | None = Field(None, description="time of use, with its offset from UTC; default: now")
    customer_id: Id | None = None
    weight: Weight = Field(1.0, ge=0, allow_inf_nan=False, description="how much this use counts")

    @property
    def size(self) -> int:
        """Characters and features: how long it takes to read."""
        return len(self.prompt or "") + len(self.text or "") + len(self.features or ())

    @model_validator(mode="after")
    def _text_is_predicted(self) -> Self:
        if self.prompt and self.text is None:
            raise ValueError("a prompt needs the text that was written after it. Give text too")
        if not self.prompt and self.text is not None and len(self.text) < 2:
            raise ValueError("text has one character, expected two or more, or a prompt before it")
        return self


class AttributionRequest(BaseModel):
    """Queries to attribute and to record as usage."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Query] = Field(min_length=1)
    top_k: StrictInt | None = Field(
        10, ge=1, description="the sources of the largest influence, by size, that are listed; null: all"
    )
    level: Level = Field("source", description="source, or publisher: sources times the publisher's part of them")
    per_token: StrictBool = Field(
        False, description="influences of the listed sources on each token; always read out exactly"
    )
    record: StrictBool = Field(True, description="false: attribute only; nothing is recorded")


class Influence(BaseModel):
    """Influence of one source, or of a publisher's part of sources, on a query."""

    source_id: str | None = Field(None, description="of level source")
    publisher_id: str | None = Field(None, description="of level publisher")
    influence_nats: float = Field(
        description="mean over replicates; positive: the source helped. In nats, or in the unit of "
        "the estimator in attribution.method"
    )
    std_error_nats: float = Field(
        description="standard error of the mean: disagreement of the replicates, sampled coalitions, and what the "
        "distilled read-out does not know"
    )
    token_nats: list[float] | None = Field(None, description="influence on each token, nats; only per_token")


class OtherInfluences(BaseModel):
    """The sources that are not listed."""

    count: int
    influence_nats: float | None = Field(description="their sum; null: it is not known")


class QueryAttribution(BaseModel):
    """A query's sources, most helpful first."""

    query_id: str
    period: str = Field(description="the month that the use counts in, YYYY-MM")
    readout: Literal["exact", "distilled"]
    readout_probability: float = Field(description="chance that the use is read out exactly; 1: it is")
    measurement_nats: float
    similarity: float = Field(description="similarity of the query to the training data, 0 to 1")
    unlike_corpus: bool = Field(
        description="true: less similar to the training data than 99% of their held-out part; errors are widened"
    )
    sources: list[Influence]
    others: OtherInfluences
    tokens: list[str] | None = Field(
        None,
        description="the text in the pieces that `token_nats` are of: characters, or tokens of the tokenizer, of "
        "which those that share a character are one piece; only per_token",
    )
    note: str | None = Field(None, description="what the figures leave out, and why")


class AttributionAnswer(BaseModel):
    """Attributions, and the number of queries recorded now. The others were recorded before, or not at all."""

    model: str
    simulate_run: str
    queries: list[QueryAttribution]
    recorded: int


class ServedModel(BaseModel):
    """A model that the service attributes answers of."""

    model: str
    path: str = Field("", description="what goes before /v1 to reach it")
    simulate_run: str
    sources: int
    replicates: int
    readout: Literal["exact", "distilled"]
    takes: Literal["text", "features"]
    takes_prompts: bool = Field(False, description="whether a query may have a prompt beside its text")
    max_queries: int
    max_text_bytes: int = Field(description="of a text and its prompt")
