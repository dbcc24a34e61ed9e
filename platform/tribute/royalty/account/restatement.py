"""Amounts that restated versions of closed periods still owe, as adjustments of the next settled period."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from tribute.errors import MoneyError
from tribute.royalty.document import Adjustment, Statement
from tribute.royalty.exact.calendar import accounting_period_number, ends_accounting_period

Statements = Sequence[Statement]
Key = tuple[str, str]


class _Version(NamedTuple):
    """A version's statement for one publisher and currency; None if it has none."""

    statement: Statement | None
    reason: str


_Month = list[_Version]
"""All versions of a closed month for one key, the one that closed it first."""


def owed(final: Iterable[tuple[Statement, str | None]], period: str) -> dict[Key, list[Adjustment]]:
    """Adjustments by publisher and currency: what closed periods owe by their latest versions and did not credit.

    An accounting period owes max(guarantee, earned in its months by their latest versions), or what is earned as
    long as it runs. It credited what the statements that closed its months say, earned and topped up, and what
    later statements carried as adjustments of its months. The difference is one adjustment for each restatement
    that no statement carries; it names the version that it corrects, or the corrected version for a publisher that
    had none.

    Args:
        final: every final statement of earlier months with the reason of its version.
        period: the month that will carry the adjustments; those of its own accounting period are `running`.

    Raises:
        MoneyError: a restatement has no reason, or a publisher has two statements in one version.
    """
    months = _months(final)
    carried: dict[str, int] = defaultdict(int)
    for statement in _closing(months):
        for each in statement.balance.adjustments:
            carried[each.adjusts_statement_id] += each.amount_minor
    found = {}
    for key in sorted({key for versions in months.values() for _, by_key in versions for key in by_key}):
        adjustments = [
            adjustment
            for own, running in _accounting_periods(_of_key(months, key), period)
            for adjustment in _owed(own, carried, running)
        ]
        if adjustments:
            found[key] = adjustments
    return found


def closing_statements(final: Iterable[tuple[Statement, str | None]]) -> list[Statement]:
    """The statements of the version that closed each period, by period. These were paid and posted."""
    return list(_closing(_months(final)))


def by_publisher(statements: Statements) -> dict[Key, Statement]:
    """Statements of one version of a period by publisher and currency.

    Raises:
        MoneyError: a publisher has two in one currency.
    """
    found: dict[Key, Statement] = {}
    for statement in statements:
        other = found.setdefault(statement.key, statement)
        if other is not statement:
            raise MoneyError(
                f"{other.statement_id} and {statement.statement_id} are of one publisher and currency. "
                "Pass one version of the period"
            )
    return found


_Versions = list[tuple[str, dict[Key, Statement]]]


def _months(final: Iterable[tuple[Statement, str | None]]) -> dict[str, _Versions]:
    """The reason and the statements of every version by period; periods and versions in order."""
    by_version: dict[str, dict[int, list[Statement]]] = defaultdict(lambda: defaultdict(list))
    reasons: dict[tuple[str, int], str] = {}
    for statement, reason in final:
        by_version[statement.period][statement.statement_version].append(statement)
        reasons[statement.period, statement.statement_version] = (reason or "").strip()
    months = {}
    for period, of_period in sorted(by_version.items()):
        closing, *restated = sorted(of_period)
        if any(not reasons[period, version] for version in restated):
            raise MoneyError(f"A restatement of {period} has no reason. Say why: tribute restate --reason")
        months[period] = [
            (reasons[period, version], by_publisher(of_period[version])) for version in (closing, *restated)
        ]
    return months


def _closing(months: Mapping[str, _Versions]) -> Iterator[Statement]:
    for versions in months.values():
        yield from versions[0][1].values()


def _of_key(months: Mapping[str, _Versions], key: Key) -> Iterator[_Month]:
    for versions in months.values():
        month = [_Version(by_key.get(key), reason) for reason, by_key in versions]
        if any(version.statement for version in month):
            yield month


def _accounting_periods(months: Iterable[_Month], period: str) -> Iterator[tuple[list[_Month], bool]]:
    """The months of each accounting period of the calendar, and whether it is unfinished: `period` lies in it."""

    def place(month: _Month) -> tuple[str, int]:
        first = next(version.statement for version in month if version.statement)
        kind = first.agreement.accounting_period
        return kind, accounting_period_number(first.period, kind)

    for (kind, number), own in groupby(months, place):
        yield list(own), number == accounting_period_number(period, kind)


def _owed(months: Sequence[_Month], carried: Mapping[str, int], running: bool) -> list[Adjustment]:
    """What one accounting period owes, for each of its restatements that is not carried yet."""
    state = [month[0].statement for month in months]
    late = not running and not any(state)
    credited, owes = sum(map(_credited, state)), _due(state, late)
    restated: list[Adjustment] = []
    for number, month in enumerate(months):
        for old, new in pairwise(month):
            state[number] = new.statement
            corrected = old.statement or new.statement
            if corrected is None:
                continue
            before, owes = owes, _due(state, late)
            restated.append(
                Adjustment(
                    reason=new.reason,
                    adjusts_statement_id=corrected.statement_id,
                    amount_minor=owes - before,
                    running=running,
                )
            )
    if not restated:
        return []
    credited += sum(carried.get(name, 0) for name in {each.adjusts_statement_id for each in restated})
    pending = [each for each in restated if each.adjusts_statement_id not in carried]
    # Each adjustment depends on the order in which restatements were carried; the last one takes the difference.
    *most, last = pending or restated[-1:]
    rest = owes - credited - sum(each.amount_minor for each in most)
    amounts = [
        *most,
        Adjustment(
            reason=last.reason, adjusts_statement_id=last.adjusts_statement_id, amount_minor=rest, running=running
        ),
    ]
    return [each for each in amounts if each.amount_minor]


def _due(state: Sequence[Statement | None], late: bool) -> int:
    """The amount that an accounting period owes, given one version of each of its months.

    Args:
        late: no month of it closed with a statement, so nothing was topped up at its end; the last month with a
            statement counts as the end.
    """
    issued = [each for each in state if each]
    earned, guaranteed = (sum(parts) for parts in zip((0, 0), *map(_credit, issued), strict=True))
    if late and issued:
        guaranteed = issued[-1].agreement.guarantee_minor
    return max(earned, guaranteed)


def _credit(statement: Statement) -> tuple[int, int]:
    """Earnings of a month, and its guarantee if the month ends an accounting period."""
    terms = statement.agreement
    due = ends_accounting_period(statement.period, terms.accounting_period)
    return statement.balance.royalty_earned_minor, terms.guarantee_minor if due else 0


def _credited(statement: Statement | None) -> int:
    if statement is None:
        return 0
    balance = statement.balance
    return int(balance.royalty_earned_minor + balance.minimum_guarantee_shortfall_minor)
