"""The arithmetic by which a statement accounts for itself, recomputed from what is printed.

The statement has been checked against its schema before.
"""

import hashlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tribute.errors import MoneyError, PolicyError
from tribute.royalty.division.policy import Policy, parse_policy
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.exact.money import currency_exponent
from tribute.royalty.exact.text import percent
from tribute.royalty.proof.shapes import within
from tribute.royalty.proof.strict_json import Problem

Document = Mapping[str, Any]


def statement_problems(statement: Document, place: str = "") -> Iterator[Problem]:
    """Where a statement contradicts itself: currency, sums, pools, share, policy.

    Lines from shares: `share_problems`; the balance: `account_problems`.

    Args:
        place: path of the statement, such as `statements[2]`; a statement by itself has none.
    """
    try:
        exponent = currency_exponent(statement["currency"])
    except MoneyError as error:
        yield Problem(within(place, "currency"), str(error))
        return
    if statement["currency_exponent"] != exponent:
        yield Problem(
            within(place, "currency_exponent"),
            f"is {statement['currency_exponent']}; {statement['currency']} has {exponent}",
        )
    yield from _lines(statement, place)
    yield from _pools(statement, place)
    yield from _share(statement, place)
    yield from _interval(statement, place)
    yield from policy_problems(statement["policy"], within(place, "policy"))


def policy_problems(policy: Document, place: str) -> Iterator[Problem]:
    """Fields that are no policy, a text that does not say what they do, and a `sha256` of something else."""
    fields = {key: value for key, value in policy.items() if key != "sha256"}
    found = hashlib.sha256(canonical_json(fields)).hexdigest()
    if found != policy["sha256"]:
        yield Problem(within(place, "sha256"), f"is {policy['sha256']}, but fields and text have {found}")
    try:
        rule = policy_of(policy)
    except (PolicyError, ValueError) as error:  # ValueError: a sum of more digits than can be told
        yield Problem(place, f"is no policy: {error}")
        return
    if rule.text != policy["text"]:
        text = "is not what these fields say. If another release of tribute wrote it, verify it with that"
        yield Problem(within(place, "text"), text)


def policy_of(policy: Document) -> Policy:
    """The policy that a statement prints.

    Raises:
        PolicyError: its fields are no policy.
    """
    return parse_policy({name: value for name, value in policy.items() if name not in ("text", "sha256")})


def differs(place: str, found: object, expected: object, why: str) -> Iterator[Problem]:
    """A problem if two values that must be equal are not."""
    if found != expected:
        yield Problem(place, f"is {found}, expected {expected}: {why}")


def amount_text(minor: int, currency: str) -> str:
    """As `Money(minor, currency).text()`, in a third of the time."""
    whole, part = divmod(abs(minor), 10 ** (exponent := currency_exponent(currency)))
    return f"{'-' * (minor < 0)}{whole:,}{f'.{part:0{exponent}}' if exponent else ''} {currency}"


def _amount(
    record: Document, name: str, currency: str, place: str, minor_is_right: bool = True
) -> Iterator[Problem]:
    """Where an amount as text is not its minor units; if the latter are in doubt, they are the place."""
    minor, text = record[f"{name}_minor"], record[name]
    expected = amount_text(minor, currency)
    if text != expected:
        at = within(place, name if minor_is_right else f"{name}_minor")
        yield Problem(at, f"{name}_minor is {minor}, which is {expected}, but {name} is {text}")


def _lines(statement: Document, place: str) -> Iterator[Problem]:
    lines, totals = statement["lines"], statement["totals"]
    yield from differs(within(place, "totals.line_count"), totals["line_count"], len(lines), "as many lines")
    added, printed = sum(line["amount_minor"] for line in lines), totals["lines_amount_minor"]
    sum_holds = added in (statement["amount_minor"], printed)
    if sum_holds:
        yield from differs(within(place, "totals.lines_amount_minor"), printed, added, "the sum of the lines")
        yield from differs(within(place, "amount_minor"), statement["amount_minor"], added, "the sum of the lines")
    else:
        yield from differs(within(place, "lines"), added, printed, "the sum of `amount_minor`, as in totals")
    currency = statement["currency"]
    yield from _amount(statement, "amount", currency, place, sum_holds)
    pools = {pool["pool_id"] for pool in statement["pools"]}
    seen: set[str] = set()
    for index, line in enumerate(lines):
        at = within(place, f"lines[{index}]")
        yield from _amount(line, "amount", currency, at, sum_holds)
        if line["pool_id"] not in pools:
            yield Problem(f"{at}.pool_id", f"is {line['pool_id']!r}, which is no pool of the statement")
        if line["line_id"] in seen:
            yield Problem(f"{at}.line_id", f"is {line['line_id']!r}, as on a line before")
        seen.add(line["line_id"])


def _pools(statement: Document, place: str) -> Iterator[Problem]:
    for index, pool in enumerate(statement["pools"]):
        at = within(place, f"pools[{index}]")
        yield from _amount(pool, "pool_amount", statement["currency"], at)
        net = pool["gross_revenue_minor"] - sum(each["amount_minor"] for each in pool["deductions"])
        yield from differs(f"{at}.net_revenue_minor", pool["net_revenue_minor"], net, "gross less deductions")
        amount = round(pool["net_revenue_minor"] * Fraction(pool["royalty_rate"]))
        why = "net revenue times royalty rate, half to even"
        yield from differs(f"{at}.pool_amount_minor", pool["pool_amount_minor"], amount, why)


def _share(statement: Document, place: str) -> Iterator[Problem]:
    share = Fraction(statement["share"])
    if sum(map(Fraction, statement["parts"].values())) != share:
        yield Problem(within(place, "share"), f"is {statement['share'][:60]}, which is not the sum of `parts`")
    yield from differs(within(place, "share_percent"), statement["share_percent"], percent(share), "of the share")


def _interval(statement: Document, place: str) -> Iterator[Problem]:
    for name in ("amount_low", "amount_high"):
        if f"{name}_minor" in statement["interval"] and name in statement["interval"]:
            yield from _amount(statement["interval"], name, statement["currency"], within(place, "interval"))
