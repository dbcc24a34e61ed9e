"""What a statement says about itself, recomputed: ids, days, versions, sums, pools, share and policy.

The statement has been validated against its schema before.
"""

import calendar
import hashlib
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from tribute.errors import MoneyError, PolicyError
from tribute.royalty.division.policy import Policy, parse_policy
from tribute.royalty.document import PolicyRecord, Statement
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.exact.money import currency_exponent
from tribute.royalty.exact.text import id_part, percent
from tribute.royalty.proof.findings import Problem, differs, shown, within

ZERO = Fraction(0)
_RATES = ("rate", "reserve_rate", "withholding_rate")


@lru_cache(maxsize=2**14)
def exact(number: str) -> Fraction:
    """The fraction that a number of a document denotes. Cached: each number enters several checks."""
    return Fraction(number)


def statement_problems(statement: Statement, place: str = "") -> Iterator[Problem]:
    """Contradictions in a statement: ids, days and versions, sums, pools, share, policy; numbers out of range.

    See `share_problems` for lines and interval, `account_problems` for the balance.

    Args:
        place: path of the statement in its document, such as `statements[2]`; empty for a single statement.
    """
    yield from _header(statement, place)
    yield from policy_problems(statement.policy, within(place, "policy"))
    try:
        exponent = currency_exponent(statement.currency)
    except MoneyError as error:
        yield Problem(within(place, "currency"), f"is not a currency: {error}")
        return
    at = within(place, "currency_exponent")
    yield from differs(at, statement.currency_exponent, exponent, f"the decimal digits of {statement.currency}")
    yield from _lines(statement, place)
    yield from _pools(statement, place)
    yield from _share(statement, place)
    yield from _change(statement, place)


def policy_problems(policy: PolicyRecord, place: str) -> Iterator[Problem]:
    """Fields that are not a policy, a text that does not describe them, or a `sha256` of something else."""
    found = hashlib.sha256(canonical_json(policy.model_dump(mode="json", exclude={"sha256"}))).hexdigest()
    yield from differs(within(place, "sha256"), policy.sha256, found, "the hash of fields and text")
    try:
        rule = policy_of(policy)
    except (PolicyError, ValueError) as error:  # ValueError: a sum with more digits than Python prints
        yield Problem(place, f"is not a policy: {error}")
        return
    if policy.text not in rule.wordings:
        text = (
            "does not describe these fields. If another release of tribute wrote it, verify it with that release"
        )
        yield Problem(within(place, "text"), text)


def policy_of(policy: PolicyRecord) -> Policy:
    """The policy that a statement prints.

    Raises:
        PolicyError: its fields are not a policy.
    """
    return parse_policy(policy.model_dump(mode="json", exclude={"text", "sha256"}))


def amount_text(minor: int, currency: str) -> str:
    """The same text as `Money(minor, currency).text()`, three times as fast."""
    whole, part = divmod(abs(minor), 10 ** (exponent := currency_exponent(currency)))
    return f"{'-' * (minor < 0)}{whole:,}{f'.{part:0{exponent}}' if exponent else ''} {currency}"


def amount_problems(
    minor: int, text: str, name: str, currency: str, place: str, minor_is_right: bool = True
) -> Iterator[Problem]:
    """An amount whose text is not its minor units. If the minor units are in doubt, they are the place."""
    expected = amount_text(minor, currency)
    if text == expected:
        return
    if minor_is_right:
        yield Problem(within(place, name), f"is {shown(text)}, but {name}_minor is {minor}: {expected}")
    else:
        yield Problem(within(place, f"{name}_minor"), f"is {minor}: {expected}, but {name} is {shown(text)}")


def _header(statement: Statement, place: str) -> Iterator[Problem]:
    for name, expected, why in _derived(statement):
        yield from differs(within(place, name), getattr(statement, name), expected, why)
    for index, line in enumerate(statement.lines):
        expected = f"{statement.statement_id}:{line.pool_id}:{line.source_id or ''}"
        yield from differs(
            within(place, f"lines[{index}].line_id"), line.line_id, expected, "statement, pool, source"
        )
    for name, part in _parts_of_one(statement):
        if not 0 <= exact(part) <= 1:
            yield Problem(within(place, name), f"is {shown(part)}, expected a number from 0 to 1")
    terms = statement.agreement
    if exact(terms.reserve_rate) and not terms.reserve_months:
        text = "is 0, expected the number of months after which a reserve is released"
        yield Problem(within(place, "agreement.reserve_months"), text)


def _derived(statement: Statement) -> Iterator[tuple[str, object, str]]:
    """Fields that follow from others: name, expected value, reason."""
    period, version, restated = statement.period, statement.statement_version, statement.restates_statement_version
    try:
        days = calendar.monthrange(int(period[:4]), int(period[5:]))[1]
    except ValueError:  # the year 0
        days = 0
    yield "period_start", f"{period}-01", "the first day of the period"
    yield "period_end", f"{period}-{days:02}", "the last day of the period"
    yield "statement_version", max(version, 1), "versions count from 1"
    stem = f"{statement.model_id}-{period}-{id_part(statement.publisher_id)}-{statement.currency}"
    yield "statement_id", f"{stem}-v{version}", "model, period, publisher, currency and version"
    if restated is not None:
        before = version - 1 if version > 1 else None
        yield "restates_statement_version", before, "the version before this one"
    if statement.supersedes_statement_id is not None:
        expected = None if restated is None else f"{stem}-v{restated}"
        yield "supersedes_statement_id", expected, "null, or the publisher's statement of the restated version"


def _parts_of_one(statement: Statement) -> Iterator[tuple[str, str]]:
    yield "shrinkage", statement.shrinkage
    for name in _RATES:
        yield f"agreement.{name}", getattr(statement.agreement, name)
    for index, pool in enumerate(statement.pools):
        yield f"pools[{index}].royalty_rate", pool.royalty_rate
    for index, line in enumerate(statement.lines):
        if line.split is not None:
            yield f"lines[{index}].split", line.split


def _lines(statement: Statement, place: str) -> Iterator[Problem]:
    totals, currency = statement.totals, statement.currency
    count = len(statement.lines)
    yield from differs(within(place, "totals.line_count"), totals.line_count, count, "the number of lines")
    added, printed = sum(line.amount_minor for line in statement.lines), totals.lines_amount_minor
    sum_holds = added in (statement.amount_minor, printed)
    if sum_holds:
        yield from differs(within(place, "totals.lines_amount_minor"), printed, added, "the sum of the lines")
        yield from differs(within(place, "amount_minor"), statement.amount_minor, added, "the sum of the lines")
    else:
        text = f"have amounts that sum to {added}, but totals.lines_amount_minor is {printed}"
        yield Problem(within(place, "lines"), text)
    yield from amount_problems(statement.amount_minor, statement.amount, "amount", currency, place, sum_holds)
    pools = {pool.pool_id for pool in statement.pools}
    seen: set[str] = set()
    for index, line in enumerate(statement.lines):
        at = within(place, f"lines[{index}]")
        yield from amount_problems(line.amount_minor, line.amount, "amount", currency, at, sum_holds)
        if line.pool_id not in pools:
            yield Problem(f"{at}.pool_id", f"is {shown(line.pool_id)}, but the statement has no such pool")
        if line.line_id in seen:
            yield Problem(f"{at}.line_id", f"is {shown(line.line_id)}, the id of an earlier line")
        seen.add(line.line_id)


def _pools(statement: Statement, place: str) -> Iterator[Problem]:
    for index, pool in enumerate(statement.pools):
        at = within(place, f"pools[{index}]")
        yield from amount_problems(pool.pool_amount_minor, pool.pool_amount, "pool_amount", statement.currency, at)
        net = pool.gross_revenue_minor - sum(each.amount_minor for each in pool.deductions)
        yield from differs(
            f"{at}.net_revenue_minor", pool.net_revenue_minor, net, "gross revenue minus deductions"
        )
        amount = round(pool.net_revenue_minor * exact(pool.royalty_rate))
        why = "net revenue x royalty rate, half to even"
        yield from differs(f"{at}.pool_amount_minor", pool.pool_amount_minor, amount, why)


def _share(statement: Statement, place: str) -> Iterator[Problem]:
    share, parts = exact(statement.share), statement.parts
    if exact(parts.attributed) + exact(parts.unattributed) + exact(parts.moved) != share:
        yield Problem(within(place, "share"), f"is {shown(statement.share)}, which is not the sum of `parts`")
    at = within(place, "share_percent")
    yield from differs(at, statement.share_percent, percent(share), "the share in percent")


def _change(statement: Statement, place: str) -> Iterator[Problem]:
    change, at = statement.change, within(place, "change")
    if change is None:
        return
    if statement.restates_statement_version is None:
        yield Problem(at, "is there, but this version restates none")
    parts = sum(change.plain().values())
    if parts != statement.amount_minor:
        yield Problem(at, f"has parts that sum to {parts}, but amount_minor is {statement.amount_minor}")
