"""Requests and answers of the service, and so of its OpenAPI page at /docs."""

from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StringConstraints,
)

from tribute.corpus.queries import MIN_WEIGHT
from tribute.corpus.readers.usage import LARGEST_WEIGHT
from tribute.files import read_moment
from tribute.ids import LONGEST_ID, checked_id


def _moment(value: object) -> object:
    if isinstance(value, str):
        return read_moment(value)
    if value is None or isinstance(value, datetime):
        return value
    raise ValueError("write the time as text, such as 2026-10-05T12:00:00+00:00")


def _weight(value: float) -> float:
    if value and not MIN_WEIGHT <= value <= LARGEST_WEIGHT:
        raise ValueError(f"expected 0, or a number from {MIN_WEIGHT:g} to {LARGEST_WEIGHT:g}")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Weight = Annotated[StrictFloat, AfterValidator(_weight)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID), AfterValidator(checked_id)]


class Query(BaseModel):
    """One use of the model. Text models take `text`; classifiers take `features` and the `label` they gave."""

    model_config = ConfigDict(extra="forbid")

    query_id: Id | None = Field(None, description="unique per use; a repeated id is recorded once")
    text: str | None = Field(None, min_length=2, max_length=100_000)
    features: list[StrictFloat] | None = None
    label: StrictInt | None = Field(None, ge=0, lt=2**63)
    time: Moment | None = Field(None, description="time of use, with its offset from UTC; default: now")
    customer_id: Id | None = None
    weight: Weight = Field(1.0, ge=0, allow_inf_nan=False, description="how much this use counts")


class AttributionRequest(BaseModel):
    """Queries to attribute and to record as usage."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Query] = Field(min_length=1)


class SourceInfluence(BaseModel):
    """Influence of one source on a query."""

    source_id: str
    influence_nats: float = Field(
        description="mean over replicates; positive: the source helped. In nats, or in the unit of "
        "the estimator in attribution.method"
    )
    std_error_nats: float = Field(
        description="standard error of the mean: disagreement of the replicates, and sampled coalitions"
    )


class QueryAttribution(BaseModel):
    """A query's sources, most helpful first."""

    query_id: str
    period: str
    measurement_nats: float
    similarity: float = Field(description="similarity of the query to the training data, 0 to 1")
    unlike_corpus: bool = Field(
        description="true: less similar to the training data than 99% of their held-out part; errors are widened"
    )
    sources: list[SourceInfluence]


class AttributionAnswer(BaseModel):
    """Attributions, and the number of queries recorded now. The other queries were recorded before."""

    simulate_run: str
    recorded: int
    queries: list[QueryAttribution]


class ReportRequest(BaseModel):
    """The month to report on."""

    model_config = ConfigDict(extra="forbid")

    period: str = Field(description="YYYY-MM", examples=["2026-10"])
