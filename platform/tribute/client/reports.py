"""What the service answers about a month: its valuation, the statements, and the models that it serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReportedSource:
    """The value of a source in a month, in nats, with its interval and its share of the pool's value."""

    source_id: str
    attribution_nats: float | None
    value_nats: float | None
    ci_low_nats: float | None
    ci_high_nats: float | None
    token_share: float | None
    share: float | None
    split: str | None = None


@dataclass(frozen=True)
class ReportedPublisher:
    """The value of a publisher in a month, and of its sources."""

    publisher_id: str
    attribution_nats: float | None
    value_nats: float | None
    ci_low_nats: float | None
    ci_high_nats: float | None
    token_share: float | None
    share: float | None
    share_low: float | None = None
    share_high: float | None = None
    sources: tuple[ReportedSource, ...] = ()


@dataclass(frozen=True)
class ServedReport:
    """A valued month.

    Attributes:
        run_id: of the valuation.
        expected_misallocation: the part of the pool that is expected to go to another publisher than it should.
        queries: uses of the month.
    """

    run_id: str
    period: str
    publishers: tuple[ReportedPublisher, ...]
    simulate_run: str | None = None
    queries: int | None = None
    expected_misallocation: float | None = None
    token_count_weight: float | None = None


@dataclass(frozen=True)
class ReportProgress:
    """A report that was asked for.

    Attributes:
        state: "queued", "running", "done" or "failed".
        report: once it is done.
        problem: why it failed: title, status and detail, which names the remedy.
    """

    report_id: str
    period: str
    state: str
    report: ServedReport | None = None
    problem: Mapping[str, object] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is done or failed."""
        return self.state in ("done", "failed")


@dataclass(frozen=True)
class StatementFile:
    """A statement in one format."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def text(self) -> str:
        """The content of a format that is text: json, text, html or csv."""
        return self.content.decode()
