"""What the service shows of settled months, and of the models that it attributes."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ServedAmount:
    """Money: exact minor units of a currency, and the text that people read."""

    minor: int
    currency: str
    text: str


@dataclass(frozen=True)
class ServedInterval:
    """A figure and the ends of its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ServedSourceValue:
    """The value, in nats, of a source or of the publisher's part of it."""

    source_id: str
    value: ServedInterval
    attribution_nats: float
    token_share: float
    split: str | None = None
    tokens: float | None = None


@dataclass(frozen=True)
class ServedPublisherValue:
    """The value, in nats, of a publisher's sources, and its share of what is divided by value.

    Attributes:
        share: an exact fraction such as 2/7.
    """

    publisher_id: str
    value: ServedInterval
    share: str
    attribution_nats: float
    token_share: float
    sources: tuple[ServedSourceValue, ...]
    share_interval: ServedInterval | None = None


@dataclass(frozen=True)
class ServedValuation:
    """A month's valuation: the one that its statements pay, or else the newest. A publisher sees its own part."""

    period: str
    run_id: str
    simulate_run: str
    publishers: tuple[ServedPublisherValue, ...]
    queries: int
    notion: str | None = None
    token_count_weight: float | None = None
    expected_misallocation: float | None = None


@dataclass(frozen=True)
class ListedStatement:
    """A statement in a list.

    Attributes:
        status: "draft" or "final".
        share_percent: of the pool, as the statement prints it.
        sha256: of its canonical JSON.
    """

    statement_id: str
    version: int
    status: str
    period: str
    publisher_id: str
    publisher_name: str
    allocated: ServedAmount
    paid: ServedAmount
    closing_balance: ServedAmount
    share_percent: str
    sha256: str


@dataclass(frozen=True)
class ListedStatements:
    """The statements of a month's newest version. A publisher sees its own."""

    period: str
    statements: tuple[ListedStatement, ...]


@dataclass(frozen=True)
class FetchedFile:
    """A statement, or a month's statements, in one format."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def text(self) -> str:
        """The content of a format that is text: all but pdf and xlsx."""
        return self.content.decode()

    def save(self, path: str | Path) -> Path:
        """Write it to a file."""
        target = Path(path)
        target.write_bytes(self.content)
        return target


@dataclass(frozen=True)
class OfferedModel:
    """A model whose answers the service attributes, and what a request may hold.

    Attributes:
        readout: "exact" or "distilled".
        takes: "text" or "features".
        takes_prompts: whether a use may have a prompt beside its text.
        path: what goes after the service's address to reach this model.
    """

    model: str
    simulate_run: str
    sources: int
    replicates: int
    readout: str
    takes: str
    max_queries: int
    max_text_bytes: int
    takes_prompts: bool = False
    path: str = ""
