"""A publisher's account, recomputed from opening to closing balance."""

from collections.abc import Iterator

from tribute.royalty.document import AccountBalance, AccountState, Statement
from tribute.royalty.exact.calendar import begins_accounting_period, ends_accounting_period, month_number
from tribute.royalty.proof.findings import Problem, differs, within
from tribute.royalty.proof.recompute.statement import exact

_NEVER_NEGATIVE = (
    "royalty_allocated_minor", "advance_granted_minor", "advance_recouped_minor",
    "minimum_guarantee_shortfall_minor", "reserve_held_minor", "reserve_released_minor",
    "withholding_tax_minor", "amount_paid_minor", "unrecouped_advance_minor",
)  # fmt: skip
_OF_RESTATED = {"royalty_allocated_minor", "royalty_earned_minor", "royalty_rate", "withholding_tax_rate"}
"""The only fields of the balance that a version restating a closed period fills."""


def account_problems(statement: Statement, place: str = "") -> Iterator[Problem]:
    """Fields of the balance that do not follow from each other, from the lines and from the agreement.

    Args:
        place: path of the statement in its document, such as `statements[2]`; empty for a single statement.
    """
    balance, at = statement.balance, within(place, "balance")
    yield from _version(statement, place)
    yield from _earned(statement, at)
    if statement.restates_statement_version is not None:
        yield from _unmoved(balance, at)
        return
    for name in _NEVER_NEGATIVE:
        if getattr(balance, name) < 0:
            yield Problem(f"{at}.{name}", f"is {getattr(balance, name)}, below 0")
    yield from _sums(balance, at)
    yield from _accounting_period(statement, at)
    yield from _reserves(statement, at)
    yield from _payment(statement, at)
    yield from _recoupment(balance, at)


def _version(statement: Statement, place: str) -> Iterator[Problem]:
    """A version restates the one before it, or none. Only a version that restates supersedes a statement."""
    restates, before = statement.restates_statement_version, statement.statement_version - 1
    if restates is not None:
        at = within(place, "restates_statement_version")
        yield from differs(at, restates, before, "the version before this one")
        why = "only a closed period is restated"
        yield from differs(within(place, "status"), statement.status, "final", why)
    elif statement.supersedes_statement_id is not None:
        at = within(place, "supersedes_statement_id")
        yield from differs(at, statement.supersedes_statement_id, None, "this version restates none")


def _earned(statement: Statement, at: str) -> Iterator[Problem]:
    b, agreement = statement.balance, statement.agreement
    allocated, name = b.royalty_allocated_minor, f"{at}.royalty_allocated_minor"
    yield from differs(name, allocated, statement.amount_minor, "the amount of the statement")
    earned = round(allocated * exact(b.royalty_rate))
    yield from differs(
        f"{at}.royalty_earned_minor", b.royalty_earned_minor, earned, "allocated x rate, half to even"
    )
    for name, own, agreed in (
        ("royalty_rate", b.royalty_rate, agreement.rate),
        ("withholding_tax_rate", b.withholding_tax_rate, agreement.withholding_rate),
    ):
        if exact(own) != exact(agreed):
            yield from differs(f"{at}.{name}", own, agreed, "the rate of the agreement")


def _unmoved(b: AccountBalance, at: str) -> Iterator[Problem]:
    """A restated balance has what is allocated and earned, and moves nothing."""
    nothing = {"adjustments": (), "account": AccountState()}
    why = "this version restates a closed period and moves nothing"
    for name in AccountBalance.model_fields:
        if name not in _OF_RESTATED:
            yield from differs(f"{at}.{name}", getattr(b, name), nothing.get(name, 0), why)


def _sums(b: AccountBalance, at: str) -> Iterator[Problem]:
    adjusted = sum(each.amount_minor for each in b.adjustments)
    payable = (
        b.opening_balance_minor + b.royalty_earned_minor + b.prior_period_adjustment_minor
        - b.advance_recouped_minor + b.minimum_guarantee_shortfall_minor
        - b.reserve_held_minor + b.reserve_released_minor
    )  # fmt: skip
    closing = b.payable_before_tax_minor - b.withholding_tax_minor - b.amount_paid_minor
    steps = "opening + earned + adjustments - recouped + shortfall - held + released"
    for name, found, expected, why in (
        ("prior_period_adjustment_minor", b.prior_period_adjustment_minor, adjusted, "the sum of the adjustments"),
        ("payable_before_tax_minor", b.payable_before_tax_minor, payable, steps),
        ("closing_balance_minor", b.closing_balance_minor, closing, "payable - tax - payment"),
        ("carried_forward_minor", b.carried_forward_minor, closing, "the closing balance"),
        ("account.balance_minor", b.account.balance_minor, closing, "the closing balance"),
        (
            "account.unrecouped_minor",
            b.account.unrecouped_minor,
            b.unrecouped_advance_minor,
            "the unrecouped advance",
        ),
    ):
        yield from differs(f"{at}.{name}", found, expected, why)


def _accounting_period(statement: Statement, at: str) -> Iterator[Problem]:
    """Earnings that count towards the guarantee, the shortfall, and earnings carried to the next month."""
    b, terms, kind = statement.balance, statement.agreement, statement.agreement.accounting_period
    earned, place = b.accounting_period_earned_minor, f"{at}.accounting_period_earned_minor"
    if begins_accounting_period(statement.period, kind):
        yield from differs(
            place, earned, b.royalty_earned_minor, f"the earnings of this month, which begins a {kind}"
        )
    else:
        running = sum(each.amount_minor for each in b.adjustments if each.running)
        before = earned - b.royalty_earned_minor - running
        if before < 0:
            yield Problem(place, f"is {earned}, which leaves {before}, below 0, for the months before")
    ends = ends_accounting_period(statement.period, kind)
    shortfall = max(0, terms.guarantee_minor - earned) if ends else 0
    why = f"guarantee - {earned} earned, as the {kind} ends" if ends else f"none is due before the {kind} ends"
    name = f"{at}.minimum_guarantee_shortfall_minor"
    yield from differs(name, b.minimum_guarantee_shortfall_minor, shortfall, why)
    kept, why = (0, f"the {kind} ends") if ends else (earned, "the earnings of the accounting period so far")
    yield from differs(f"{at}.account.earned_minor", b.account.earned_minor, kept, why)


def _reserves(statement: Statement, at: str) -> Iterator[Problem]:
    """The reserve held of this month. Every reserve kept is above 0, in order of months, and not yet due."""
    b, terms = statement.balance, statement.agreement
    left = max(_available(b) - b.advance_recouped_minor, 0)
    held = round(exact(terms.reserve_rate) * min(b.royalty_earned_minor, left))
    why = "reserve rate x earnings left after recoupment, half to even"
    yield from differs(f"{at}.reserve_held_minor", b.reserve_held_minor, held, why)
    now, before, own = month_number(statement.period), -1, 0
    for index, (period, minor) in enumerate(b.account.reserves):
        place, month = f"{at}.account.reserves[{index}]", month_number(period)
        if minor <= 0 or not before < month <= now:
            text = f"is {minor} of {period}, expected amounts above 0, in order of months, up to this month"
            yield Problem(place, text)
        elif month < now and now - month >= terms.reserve_months:
            yield Problem(place, f"of {period} was due for release after {terms.reserve_months} months")
        before, own = month, minor if month == now else own
    if own != b.reserve_held_minor:
        text = f"have {own} of this month, expected {b.reserve_held_minor}: the reserve held"
        yield Problem(f"{at}.account.reserves", text)


def _payment(statement: Statement, at: str) -> Iterator[Problem]:
    """If the balance is due and reaches the threshold, all of it is paid, minus tax; otherwise nothing is paid."""
    b, terms, payable = statement.balance, statement.agreement, statement.balance.payable_before_tax_minor
    ends = ends_accounting_period(statement.period, terms.accounting_period)
    due = ends and payable >= max(terms.threshold_minor, 1)
    tax = round(payable * exact(b.withholding_tax_rate)) if due else 0
    nothing = "nothing is due: the accounting period has not ended, or payable is below the threshold or below 1"
    why = "payable x tax rate, half to even" if due else nothing
    yield from differs(f"{at}.withholding_tax_minor", b.withholding_tax_minor, tax, why)
    paid = payable - b.withholding_tax_minor if due else 0
    why = "payable - tax, as the accounting period ends and the threshold is reached" if due else nothing
    yield from differs(f"{at}.amount_paid_minor", b.amount_paid_minor, paid, why)


def _available(b: AccountBalance) -> int:
    """What an advance can be recouped from: the month's earnings and adjustments, minus an overdrawn balance."""
    return b.royalty_earned_minor + b.prior_period_adjustment_minor + min(b.opening_balance_minor, 0)


def _recoupment(b: AccountBalance, at: str) -> Iterator[Problem]:
    available, recouped = _available(b), b.advance_recouped_minor
    if recouped > max(0, available):
        yield Problem(f"{at}.advance_recouped_minor", f"is {recouped}, but only {available} was available")
    elif b.unrecouped_advance_minor > 0 and recouped < available:
        text = f"is {recouped}, expected {available}: an advance is still unrecouped"
        yield Problem(f"{at}.advance_recouped_minor", text)
    before = b.unrecouped_advance_minor - b.advance_granted_minor + recouped
    if before < 0:
        text = f"is {b.unrecouped_advance_minor}, which leaves {before}, below 0, unrecouped before this month"
        yield Problem(f"{at}.unrecouped_advance_minor", text)
