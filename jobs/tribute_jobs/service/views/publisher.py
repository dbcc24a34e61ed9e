"""A publisher: what it earned month by month, its sources, its statements and their proof."""

from collections.abc import Sequence

from tribute.config import Project
from tribute.ids import excerpt, nfc
from tribute.royalty.document import Repetition, Statement
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.figures import Amount, Interval, View, amount, sums
from tribute_jobs.service.views.period import MoveRow, Moves, period_view
from tribute_jobs.service.views.proofs import Verification
from tribute_jobs.service.views.settled import Settled, State, StatementRow, settled_months, statement_row


class PublisherMonth(View):
    """A publisher's month: the value of its sources, and what it gets in every currency."""

    period: str
    state: State
    value: Interval
    share_percent: str
    statements: tuple[StatementRow, ...]
    amounts: tuple[Amount, ...]
    amount_ranges: tuple[str, ...]
    """What the policy would pay at either end of the interval, for each currency that says so."""


class PublisherSource(View):
    """A source of a publisher in a month."""

    source_id: str
    title: str
    license: str
    split: str
    tokens: int
    value: Interval
    amounts: tuple[Amount, ...]


class PublisherView(View):
    """A publisher, with one of its months in detail."""

    publisher_id: str
    publisher_name: str
    period: str
    months: tuple[PublisherMonth, ...]
    month: PublisherMonth
    sources: tuple[PublisherSource, ...]
    repetition: Repetition | None
    """How the model was trained without sources; None: an earlier release settled the month, and did not say."""
    since: str
    moves: tuple[MoveRow, ...]
    moves_problem: str
    """Why what changed cannot be told."""
    verification: Verification


def publisher_view(project: Project, publisher_id: str, period: str | None = None) -> PublisherView:
    """A publisher and its month `period`; the newest one if None. Reads the publisher's rows and no others.

    Raises:
        Missing: there is no such publisher, or it has no part in the month.
        MoneyError: two runs issued the newest version of a month as final.
    """
    publisher_id = nfc(publisher_id)
    settled = settled_months(project, publisher_id)
    months = tuple(map(_month, settled))
    period = period or (months[-1].period if months else None)
    if period is None:
        raise Missing(f"No statement names a publisher {excerpt(publisher_id)}. Settle a month: tribute run")
    index = next((index for index, each in enumerate(months) if each.period == period), None)
    if index is None:
        raise Missing(f"{excerpt(publisher_id)} has no statement of {period}. It has: {_periods(months)}")
    own = settled[index].statements
    detail = period_view(project, period, publisher_id)
    moves = detail.moves or Moves()
    return PublisherView(
        publisher_id=publisher_id,
        publisher_name=own[0].publisher_name,
        period=period,
        months=months,
        month=months[index],
        sources=_sources(own),
        repetition=own[0].repetition,
        since=moves.since,
        moves=moves.publishers,
        moves_problem=moves.problem,
        verification=detail.verification,
    )


def _periods(months: tuple[PublisherMonth, ...]) -> str:
    return ", ".join(each.period for each in months) or "none"


def _month(settled: Settled) -> PublisherMonth:
    statements = settled.statements
    first, rows = statements[0], tuple(map(statement_row, statements))
    interval = first.interval
    return PublisherMonth(
        period=first.period,
        state=settled.state,
        value=Interval(
            value=float(interval.value_nats), low=float(interval.ci_low_nats), high=float(interval.ci_high_nats)
        ),
        share_percent=first.share_percent,
        statements=rows,
        amounts=sums(each.allocated for each in rows),
        amount_ranges=tuple(
            f"{each.interval.amount_low} and {each.interval.amount_high}"
            for each in statements
            if each.interval.amount_low is not None
        ),
    )


def _sources(statements: Sequence[Statement]) -> tuple[PublisherSource, ...]:
    """The sources on a month's statements, the most valuable first; a source has a line in every pool."""
    found: dict[str, list[PublisherSource]] = {}
    for statement in statements:
        for line in statement.lines:
            if line.line_type == "source":
                source = PublisherSource(
                    source_id=line.source_id,
                    title=line.title or line.source_id,
                    license="" if line.license in (None, "NOASSERTION") else line.license,
                    split=line.split,
                    tokens=line.tokens,
                    value=Interval(
                        value=float(line.value_nats), low=float(line.ci_low_nats), high=float(line.ci_high_nats)
                    ),
                    amounts=(amount(line.amount_minor, statement.currency),),
                )
                found.setdefault(line.source_id, []).append(source)
    merged = [
        own[0].model_copy(update={"amounts": sums(each.amounts[0] for each in own)}) for own in found.values()
    ]
    return tuple(sorted(merged, key=lambda each: (-each.value.value, each.source_id)))
