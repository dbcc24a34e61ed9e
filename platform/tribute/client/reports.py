"""What the service answers about a month: a valuation that was ordered, and how far it is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportedSource:
    """The value of a source, or of a publisher's part of it, in a month.

    Attributes:
        share: of the pool's value, an exact fraction such as 2/7.
    """

    source_id: str
    attribution_nats: float
    value_nats: float
    ci_low_nats: float
    ci_high_nats: float
    token_share: float
    share: str
    split: str | None = None


@dataclass(frozen=True)
class ReportedPublisher:
    """The value of a publisher in a month, and of its sources.

    Attributes:
        share: of the pool, an exact fraction such as 2/7; `share_low` and `share_high` end its 95% interval.
    """

    publisher_id: str
    attribution_nats: float
    value_nats: float
    ci_low_nats: float
    ci_high_nats: float
    token_share: float
    share: str
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
        token_count_weight: of the prior in the values.
    """

    run_id: str
    period: str
    simulate_run: str
    queries: int
    publishers: tuple[ReportedPublisher, ...]
    expected_misallocation: float | None = None
    token_count_weight: float | None = None


@dataclass(frozen=True)
class ReportProgress:
    """A report that was ordered.

    Attributes:
        state: "queued", "running", "done" or "failed".
        ordered: when, RFC 3339.
        value_run: the valuation, once it is done.
        problem: why it failed, and the remedy.
        report: once it is done. Lists of reports leave it out.
        tracking_problem: why MLflow did not take it. The valuation stands.
    """

    report_id: str
    period: str
    state: str
    ordered: str | None = None
    ended: str | None = None
    value_run: str | None = None
    problem: str | None = None
    report: ServedReport | None = None
    tracking_problem: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is done or failed."""
        return self.state in ("done", "failed")
