"""What the service answers about uses: which sources, or publishers, shaped each of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tribute.errors import TributeError

Level = Literal["source", "publisher"]


@dataclass(frozen=True)
class ServedInfluence:
    """Influence of one source, or of one publisher, on a use.

    Attributes:
        influence_nats: mean over replicates; positive: the source helped. In nats, or in the estimator's unit.
        std_error_nats: standard error of the mean.
        token_nats: influence on each of the use's tokens; only with `per_token`.
    """

    influence_nats: float
    std_error_nats: float
    source_id: str | None = None
    publisher_id: str | None = None
    token_nats: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ServedOthers:
    """The sources beyond `top_k` together.

    Attributes:
        influence_nats: their sum; None: it is not known. `note` of the attribution says why.
    """

    count: int
    influence_nats: float | None


@dataclass(frozen=True)
class ServedAttribution:
    """A use's sources, most helpful first.

    Attributes:
        period: the month that the use counts in, YYYY-MM.
        readout: "exact", or "distilled" (an estimate whose error is in `std_error_nats`).
        readout_probability: that the use is read out exactly.
        measurement_nats: of the whole corpus.
        similarity: of the use to the training data, 0 to 1.
        unlike_corpus: less similar than 99% of the held-out training data. Errors are widened.
        others: the sources beyond `top_k`.
        tokens: that `token_nats` are about; only with `per_token`.
        model: that attributed the use.
        simulate_run: whose responses were read.
        note: what the figures leave out, and why.
    """

    query_id: str
    period: str
    measurement_nats: float
    sources: tuple[ServedInfluence, ...]
    readout: str | None = None
    readout_probability: float | None = None
    similarity: float | None = None
    unlike_corpus: bool | None = None
    others: ServedOthers | None = None
    tokens: tuple[str, ...] | None = None
    model: str | None = None
    simulate_run: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class ServedAttributions:
    """Attributions in the order of the uses.

    Attributes:
        recorded: uses that were recorded now. The others were recorded before, or this was a dry look.
    """

    queries: tuple[ServedAttribution, ...]
    recorded: int

    def __iter__(self) -> Iterator[ServedAttribution]:
        return iter(self.queries)

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, place: int) -> ServedAttribution:
        return self.queries[place]

    @property
    def model(self) -> str | None:
        """The model of all attributions.

        Raises:
            TributeError: they are of several, since the service changed its model in between.
        """
        return _only("model", [query.model for query in self.queries])

    @property
    def simulate_run(self) -> str | None:
        """The simulation of all attributions.

        Raises:
            TributeError: they are of several, since the service changed its model in between.
        """
        return _only("simulate_run", [query.simulate_run for query in self.queries])


@dataclass(frozen=True)
class AttributionReply:
    """The answer to one request."""

    simulate_run: str
    recorded: int
    queries: tuple[ServedAttribution, ...]
    model: str | None = None

    def marked(self) -> tuple[ServedAttribution, ...]:
        """Its attributions, each with model and simulation."""
        return tuple(replace(query, model=self.model, simulate_run=self.simulate_run) for query in self.queries)


def _only(name: str, values: list[str | None]) -> str | None:
    found = list(dict.fromkeys(values))
    if len(found) > 1:
        raise TributeError(
            f"The attributions are of {len(found)} different values of {name}: {', '.join(map(str, found))}. "
            f"The service changed its model in between. Read {name} of each attribution"
        )
    return found[0] if found else None
