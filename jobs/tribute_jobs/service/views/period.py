"""A month: the pool, who gets which share of it and how sure that is, who moved and why, what to look at."""

from collections.abc import Sequence
from fractions import Fraction

from tribute.config import Project
from tribute.errors import MoneyError, TributeError
from tribute.royalty.document import Statement
from tribute.royalty.exact import month_after
from tribute.royalty.render.wording import CAUSES
from tribute.royalty.statement import PublisherMove
from tribute_jobs.period.alarms import period_alarms
from tribute_jobs.period.sequence import require_order
from tribute_jobs.period.statements import change_before
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.figures import Amount, Interval, View, amount, sums
from tribute_jobs.service.views.proofs import Verification, verify_month, verify_own
from tribute_jobs.service.views.settled import Settled, State, StatementRow, newest_statements, statement_row
from tribute_jobs.service.views.valuations import PeriodValuation, period_valuation, valued_publisher

NOT_TOLD = "What changed since the month before cannot be told now. Ask the operator"
"""What a publisher reads. The reason itself may name others."""


class PoolRow(View):
    """A pool: (revenue - deductions) x rate."""

    pool_id: str
    gross: Amount
    deductions: tuple[tuple[str, Amount], ...]
    rate: str
    pool: Amount
    basis: str
    unattributed: Amount


class ShareRow(View):
    """A publisher's share of the month. `statement` is None while the month is not settled."""

    publisher_id: str
    publisher_name: str
    statement: StatementRow | None
    share: Interval
    """Parts of 1; the ends are of the share by value."""
    value: Interval | None
    token_share: float | None
    amount_low: str | None = None
    amount_high: str | None = None


class Cause(View):
    """A part of a change, in words."""

    words: str
    change: Amount


class MoveRow(View):
    """What a publisher's amount changed by, and why."""

    publisher_id: str
    before: Amount
    after: Amount
    change: Amount
    causes: tuple[Cause, ...]


class Moves(View):
    """What moved since an earlier version or month."""

    since: str = ""
    publishers: tuple[MoveRow, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    """Why nothing can be told."""


class Alarm(View):
    """Something to look at before closing."""

    code: str
    subject: str
    text: str


class PeriodView(View):
    """A month as it stands. For a publisher: its own share, change and statement, no alarms."""

    period: str
    state: State
    version: int | None
    reason: str
    """Why a closed month was issued again."""
    queries: int
    expected_misallocation: float | None
    value_run: str
    settle_run: str
    pools: tuple[PoolRow, ...]
    allocated: tuple[Amount, ...]
    paid: tuple[Amount, ...]
    shares: tuple[ShareRow, ...]
    moves: Moves | None
    alarms: tuple[Alarm, ...]
    verification: Verification
    closing_refused: str | None
    """Why closing cannot be begun, or completed, now; None if nothing is known to be in the way."""


def period_view(project: Project, period: str, publisher_id: str | None) -> PeriodView:
    """A month: its newest statements, or its valuation if it has none yet.

    Raises:
        ConfigError: `period` is no month.
        Missing: the month is neither settled nor valued, or the publisher has no part in it.
        MoneyError: two runs issued its newest version as final.
    """
    settled = newest_statements(project, period, publisher_id)
    statements = settled.statements
    try:
        valuation = period_valuation(project, period, publisher_id)
    except Missing:
        if not statements:
            raise
        valuation = None
    rows = tuple(map(statement_row, statements))
    first = statements[0] if statements else None
    return PeriodView(
        period=period,
        state=settled.state,
        version=settled.version,
        reason=settled.reason,
        queries=valuation.queries if valuation else max((each.usage_count for each in statements), default=0),
        expected_misallocation=valuation.expected_misallocation if valuation else None,
        value_run=first.value_run if first else valuation.run_id if valuation else "",
        settle_run=settled.run_id,
        pools=_pools(statements),
        allocated=sums(each.allocated for each in rows),
        paid=sums(each.paid for each in rows),
        shares=_shares(statements, valuation),
        moves=_moves(project, first, publisher_id),
        alarms=_alarms(project, statements) if publisher_id is None else (),
        verification=_verification(project, settled, publisher_id),
        closing_refused=closing_refusal(project, period, settled.state)
        if publisher_id is None
        else "Only the operator closes.",
    )


def closing_refusal(project: Project, period: str, state: State) -> str | None:
    """Why a month of a state cannot be closed now, as far as that is known without settling it again.

    None if nothing is known to be in the way, as where closing it was begun already.
    """
    if state == "none":
        return f"{period} is not settled yet: tribute run PROJECT.yaml --period {period}"
    if state == "final":
        return f"{period} is closed."
    if state == "half_closed":
        return None
    try:
        require_order(project, period, "close")
    except TributeError as error:
        return str(error)
    return None


def _verification(project: Project, settled: Settled, publisher_id: str | None) -> Verification:
    return (verify_month if publisher_id is None else verify_own)(project, settled)


def _pools(statements: Sequence[Statement]) -> tuple[PoolRow, ...]:
    found = {(each.currency, pool.pool_id): pool for each in statements for pool in each.pools}
    return tuple(
        PoolRow(
            pool_id=pool.pool_id,
            gross=amount(pool.gross_revenue_minor, currency),
            deductions=tuple((each.name, amount(each.amount_minor, currency)) for each in pool.deductions),
            rate=pool.royalty_rate,
            pool=amount(pool.pool_amount_minor, currency),
            basis=pool.allocation_basis,
            unattributed=amount(pool.unattributed_minor, currency),
        )
        for (currency, _), pool in sorted(found.items(), key=lambda each: each[0])
    )


def _shares(statements: Sequence[Statement], valuation: PeriodValuation | None) -> tuple[ShareRow, ...]:
    if not statements:
        return tuple(
            ShareRow(
                publisher_id=each.publisher_id,
                publisher_name=each.publisher_id,
                statement=None,
                share=each.share_interval or _exactly(each.share),
                value=each.value,
                token_share=each.token_share,
            )
            for each in (valuation.publishers if valuation else ())
        )
    return tuple(_share(each, valuation) for each in statements)


def _share(statement: Statement, valuation: PeriodValuation | None) -> ShareRow:
    valued = valued_publisher(valuation, statement.publisher_id) if valuation else None
    interval, share = statement.interval, _exactly(statement.share)
    if interval.share_low is not None and interval.share_high is not None:
        share = Interval(value=share.value, low=float(interval.share_low), high=float(interval.share_high))
    return ShareRow(
        publisher_id=statement.publisher_id,
        publisher_name=statement.publisher_name,
        statement=statement_row(statement),
        share=share,
        value=Interval(
            value=float(interval.value_nats), low=float(interval.ci_low_nats), high=float(interval.ci_high_nats)
        ),
        token_share=valued.token_share if valued else None,
        amount_low=interval.amount_low,
        amount_high=interval.amount_high,
    )


def _exactly(share: str) -> Interval:
    value = float(Fraction(share))
    return Interval(value=value, low=value, high=value)


def _alarms(project: Project, statements: Sequence[Statement]) -> tuple[Alarm, ...]:
    if not statements:
        return ()
    earlier, told = month_after(statements[0].period, -1), list[Alarm]()
    try:
        before = newest_statements(project, earlier, None).statements
    except MoneyError as error:
        before, told = (), [Alarm(code="month_before", subject=earlier, text=str(error))]
    found = period_alarms(project, statements, before)
    return (*told, *(Alarm(code=each.code, subject=each.subject, text=each.text) for each in found))


def _moves(project: Project, first: Statement | None, publisher_id: str | None) -> Moves | None:
    """Changes of all publishers; for a publisher its own, without notes: those may name others."""
    if first is None:
        return None
    try:
        found = change_before(project, first)
    except MoneyError as error:
        return Moves(problem=str(error) if publisher_id is None else NOT_TOLD)
    if found is None:
        return None
    own = [each for each in found.publishers if publisher_id in (None, each.publisher_id)]
    return Moves(
        since=found.before,
        publishers=tuple(map(_move, own)),
        notes=found.notes if publisher_id is None else (),
    )


def _move(move: PublisherMove) -> MoveRow:
    parts = {words: getattr(move, f"{name}_minor") for name, words in CAUSES.items()}
    return MoveRow(
        publisher_id=move.publisher_id,
        before=amount(move.before_minor, move.currency),
        after=amount(move.after_minor, move.currency),
        change=amount(move.change_minor, move.currency),
        causes=tuple(
            Cause(words=words, change=amount(minor, move.currency)) for words, minor in parts.items() if minor
        ),
    )
