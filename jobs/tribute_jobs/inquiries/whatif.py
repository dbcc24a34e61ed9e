"""A period divided by several policies side by side; nothing is committed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tribute.catalog import Valuation, lineage
from tribute.config import Project
from tribute.errors import PolicyError, ValuationError
from tribute.files import yaml_value
from tribute.royalty.division import Policy, allocate_shares, parse_policy
from tribute.royalty.exact import allocate
from tribute.royalty.statement import PublisherValue
from tribute_jobs.inquiries.report import latest_valuation
from tribute_jobs.period.payees import publisher_values
from tribute_jobs.period.statements import latest_statements
from tribute_jobs.period.terms import customer_fees, period_policy, period_pools

USUAL = (
    Policy("attribution"),
    Policy("noise-floor", noise_floor=True),
    Policy("token-count", basis="token_count"),
    Policy("equal", basis="equal"),
    Policy("blend-70-30", basis="blend", blend={"attribution": Fraction(7, 10), "token_count": Fraction(3, 10)}),
)
BY_CUSTOMER = Policy("user-centric", basis="user_centric")


@dataclass(frozen=True)
class Division:
    """Amounts under a policy, minor units by currency and publisher, compared with the project's own policy.

    `concentration`: the Herfindahl-Hirschman index, sum of share^2, 1 where one publisher has everything.
    `moved`: what part of the pool goes to other publishers than under the project's policy.
    """

    policy: Policy
    own: bool
    shares: dict[str, Fraction]
    minor: dict[str, dict[str, int]]
    concentration: Fraction
    moved: Fraction
    differences: dict[str, dict[str, int]]


@dataclass(frozen=True)
class WhatIf:
    """A period's divisions, the project's own first, and what could not be compared."""

    period: str
    value_run: str
    final: bool
    divisions: list[Division]
    notes: list[str]


def divide(project: Project, period: str, files: Sequence[Path] = ()) -> WhatIf:
    """Divide a valued period by the project's policy, a usual set, and policies from files.

    Raises:
        PolicyError: a file holds no policy, or one that this period cannot keep.
        ValuationError: the period is not valued, or its valuation lacks what a requested policy needs.
    """
    own, fees = period_policy(project), customer_fees(project)
    asked = [_read(path) for path in files]
    usual = [*USUAL, *([BY_CUSTOMER] if project.money.fees else [])]
    valuation, notes = _current(project, period), []
    try:
        publishers = publisher_values(project, valuation, by_customer=_by_customer([own, *asked, *usual]))
    except ValuationError as error:
        if _by_customer([own, *asked]):
            raise
        notes.append(f"{BY_CUSTOMER.name} is left out: {error}")
        usual.remove(BY_CUSTOMER)
        publishers = publisher_values(project, valuation, by_customer=False)
    divisions: list[Division] = []
    for policy in _distinct([own, *asked, *usual]):
        first = divisions[0] if divisions else None
        divisions.append(_divided(project, policy, publishers, fees, first))
    final = any(statement.status == "final" for statement in latest_statements(project, period))
    return WhatIf(period, valuation.run_id, final, divisions, notes)


def _current(project: Project, period: str) -> Valuation:
    """The period's valuation, which must be of the project as it stands now."""
    valuation = latest_valuation(project, period)
    if valuation.publishers()[0]["simulate_run"] != lineage(project).simulate_run:
        raise ValuationError(
            f"Period {period} was valued under other settings of corpus, training or simulation. Put them back, "
            f"or value it anew: tribute value PROJECT.yaml --period {period}"
        )
    return valuation


def _divided(
    project: Project,
    policy: Policy,
    publishers: Sequence[PublisherValue],
    fees: dict[str, Fraction],
    own: Division | None,
) -> Division:
    claims = [each.claim() for each in publishers if each.lines]
    shares = dict.fromkeys((each.publisher_id for each in publishers), Fraction(0))
    shares |= allocate_shares(policy, claims, fees).shares()
    minor: dict[str, dict[str, int]] = {}
    for pool in period_pools(project):
        of_currency = minor.setdefault(pool.currency, dict.fromkeys(shares, 0))
        for name, each in allocate(pool.amount.minor, shares).items():
            of_currency[name] += each
    before_shares, before_minor = (own.shares, own.minor) if own else (shares, minor)
    return Division(
        policy,
        own is None,
        shares,
        minor,
        sum((share**2 for share in shares.values()), Fraction(0)),
        sum((abs(shares[name] - before_shares[name]) for name in shares), Fraction(0)) / 2,
        {
            currency: {name: each - before_minor[currency][name] for name, each in amounts.items()}
            for currency, amounts in minor.items()
        },
    )


def _distinct(policies: Sequence[Policy]) -> list[Policy]:
    """Each rule once, whatever it is called; names made different where two rules share one."""
    found: dict[Policy, Policy] = {}
    for policy in policies:
        name, number = policy.name, 1
        while name in {each.name for each in found.values()}:
            name, number = f"{policy.name} ({number + 1})", number + 1
        found.setdefault(replace(policy, name="any", version="any"), replace(policy, name=name))
    return list(found.values())


def _by_customer(policies: Sequence[Policy]) -> bool:
    return any("user_centric" in policy.weights for policy in policies)


def _read(path: Path) -> Policy:
    try:
        section = yaml_value(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PolicyError(f"Policy file {path} cannot be read: {error}") from None
    if not isinstance(section, dict) or not section:
        raise PolicyError(f"Policy file {path} holds no policy. Write a mapping, such as basis: token_count")
    try:
        return parse_policy({"name": path.stem} | section)
    except PolicyError as error:
        raise PolicyError(f"Policy file {path}: {error}") from None
