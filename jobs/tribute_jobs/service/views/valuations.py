"""A month's valuation: what each publisher's sources were worth, with intervals."""

from fractions import Fraction
from typing import Any

from tribute.config import Project
from tribute.ids import nfc
from tribute.royalty.exact.calendar import period_days
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.figures import Interval, View
from tribute_jobs.service.views.scope import rows, scoped

CURRENT = """
select v.period, v.run_id from (select distinct period, run_id from valuations) v left join (
    select period, value_run as run_id, max(statement_version) as paid from statements group by all
) s on s.period = v.period and s.run_id = v.run_id
join runs r on r.run_id = v.run_id and r.table_name = 'valuations'
qualify row_number() over (
    partition by v.period order by paid desc nulls last, committed_at desc, v.run_id desc
) = 1
"""
"""The valuation of every month that its statements pay, or else the newest."""
_RUN = f"select run_id from ({CURRENT}) where period = $period"
_ROWS = """
select * from valuations where run_id = $run order by level desc, value_nats desc, publisher_id, source_id
"""


class SourceValuation(View):
    """A source, or the publisher's part of it."""

    source_id: str
    split: str
    tokens: float
    token_share: float
    attribution_nats: float
    value: Interval


class PublisherValuation(View):
    """A publisher: the value of its sources in nats, and its share of what is divided by value."""

    publisher_id: str
    value: Interval
    share: str
    share_interval: Interval | None
    token_share: float
    attribution_nats: float
    sources: tuple[SourceValuation, ...]


class PeriodValuation(View):
    """A month's valuation: the one that its statements pay, or else the newest."""

    period: str
    run_id: str
    simulate_run: str
    notion: str
    queries: int
    token_count_weight: float
    expected_misallocation: float | None
    publishers: tuple[PublisherValuation, ...]


def period_valuation(project: Project, period: str, publisher_id: str | None) -> PeriodValuation:
    """The valuation of a month, with a publisher's own rows alone where one is named.

    Raises:
        ConfigError: `period` is no month.
        Missing: the month has no valuation, or none that the publisher has a part in.
    """
    period_days(period)
    with scoped(project, publisher_id, "valuations", "statements") as connection:
        runs = rows(connection, _RUN, period=period)
        found = rows(connection, _ROWS, run=runs[0]["run_id"]) if runs else []
    publishers = [each for each in found if each["level"] == "publisher"]
    if not publishers:
        raise Missing(f"Period {period} has no valuation. Make one: POST /v1/reports, or tribute run")
    first = publishers[0]
    lines = [each for each in found if each["level"] == "line"]
    return PeriodValuation(
        period=period,
        run_id=first["run_id"],
        simulate_run=first["simulate_run"],
        notion=first["notion"],
        queries=first["queries"],
        token_count_weight=first["shrinkage"],
        expected_misallocation=first["expected_misallocation"],
        publishers=tuple(_publisher(each, lines) for each in publishers),
    )


def valued_publisher(valuation: PeriodValuation, publisher_id: str) -> PublisherValuation | None:
    """A publisher's part of a valuation, if it has one."""
    own = nfc(publisher_id)
    return next((each for each in valuation.publishers if each.publisher_id == own), None)


def _publisher(row: dict[str, Any], lines: list[dict[str, Any]]) -> PublisherValuation:
    ends = row["share_low"], row["share_high"]
    share = float(Fraction(row["share"]))
    return PublisherValuation(
        publisher_id=row["publisher_id"],
        value=_value(row),
        share=row["share"],
        share_interval=None if None in ends else Interval(value=share, low=ends[0], high=ends[1]),
        token_share=row["token_share"],
        attribution_nats=row["attribution_nats"],
        sources=tuple(_source(each) for each in lines if each["publisher_id"] == row["publisher_id"]),
    )


def _source(row: dict[str, Any]) -> SourceValuation:
    names = ("source_id", "split", "tokens", "token_share", "attribution_nats")
    return SourceValuation(**{name: row[name] for name in names}, value=_value(row))


def _value(row: dict[str, Any]) -> Interval:
    return Interval(value=row["value_nats"], low=row["ci_low_nats"], high=row["ci_high_nats"])
