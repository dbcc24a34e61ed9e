"""How the statements of a period divide its pools, recomputed: policy, pools, sources with several holders."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from tribute.errors import MoneyError, PolicyError
from tribute.royalty.division.allocation import Allocation, Claim, ShareParts, allocate_shares
from tribute.royalty.division.limits import limited
from tribute.royalty.division.policy import Policy
from tribute.royalty.document import SourceLine, Statement, StatementPool
from tribute.royalty.exact.money import allocate
from tribute.royalty.proof.findings import Problem, differs, shown
from tribute.royalty.proof.recompute.shares import PRINTED
from tribute.royalty.proof.recompute.statement import ZERO, exact, policy_of

Statements = Sequence[Statement]
Numbered = Sequence[tuple[int, Statement]]
_PARTS = ("attributed", "unattributed", "moved")
_DIVIDED_NATS = ("attribution_signed_nats", "value_nats", "ci_low_nats", "ci_high_nats")


def division_problems(statements: Statements) -> Iterator[Problem]:
    """Parts of shares, and bases, that the printed policy does not give for the printed values and tokens.

    The part attributed by `user_centric` depends on customers' fees and values, which statements do not print. It
    is taken as printed; the fallback, cap and floor are recomputed from it.

    Args:
        statements: of one period and policy.
    """
    for active in _by_currency(statements):
        first, policy = active[0][0], active[0][1].policy
        try:
            due = _divided(policy_of(policy), [statement for _, statement in active])
        except (
            MoneyError,
            PolicyError,
            ValueError,
        ) as error:  # ValueError: a sum with more digits than Python prints
            yield Problem(f"statements[{first}].parts", f"cannot be recomputed: {error}")
            continue
        for number, statement in active:
            part, place = due.parts[statement.publisher_id], f"statements[{number}]"
            for name in _PARTS:
                written = getattr(statement.parts, name)
                if exact(written) != getattr(part, name):
                    text = f"is {shown(written)}, which does not follow from policy and values of all statements"
                    yield Problem(f"{place}.parts.{name}", text)
            for index, pool in enumerate(statement.pools):
                at = f"{place}.pools[{index}].allocation_basis"
                yield from differs(at, pool.allocation_basis, due.basis, "the basis that the policy paid by")


def split_problems(statements: Statements) -> Iterator[Problem]:
    """Sources whose splits do not sum to 1, or whose holders' values and tokens are not proportional to them."""
    for active in _by_currency(statements):
        held: dict[str, list[tuple[str, SourceLine]]] = {}
        for number, statement in active:
            for index, line in _source_lines(statement):
                held.setdefault(line.source_id, []).append((f"statements[{number}].lines[{index}]", line))
        for source_id, lines in held.items():
            place, first = lines[0]
            if sum(exact(line.split) for _, line in lines) != 1:
                text = f"is {shown(first.split)}, but all splits of source {shown(source_id)} do not sum to 1"
                yield Problem(f"{place}.split", text)
            for at, line in lines[1:]:
                yield from _disproportion(at, line, place, first)


def pool_problems(statements: Statements) -> Iterator[Problem]:
    """Pools that statements print differently or do not pay out exactly, or with a wrong unattributed part."""
    pools: dict[tuple[str, str], tuple[StatementPool, str]] = {}
    paid: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for number, statement in enumerate(statements):
        for index, pool in enumerate(statement.pools):
            key, place = (statement.currency, pool.pool_id), f"statements[{number}].pools[{index}]"
            first, where = pools.setdefault(key, (pool, place))
            if pool != first:
                yield from _other_fields(pool, place, first, where)
            paid[key].setdefault(number, 0)
        for line in statement.lines:
            own = paid[statement.currency, line.pool_id]
            own[number] = own.get(number, 0) + line.amount_minor
    for key, (pool, where) in pools.items():
        amount, total = pool.pool_amount_minor, sum(paid[key].values())
        if total != amount:
            text = f"of pool {key[1]} is {amount} {key[0]}, but the lines of all statements pay {total} of it"
            yield Problem(f"{where}.pool_amount_minor", text)
        yield from _payout(statements, amount, key[1], paid[key])
        unattributed = sum((exact(statements[number].parts.unattributed) for number in paid[key]), ZERO)
        why = "the pool x the sum of all unattributed parts, half to even"
        at = f"{where}.unattributed_minor"
        yield from differs(at, pool.unattributed_minor, round(amount * unattributed), why)


def payable_problems(statements: Statements) -> Iterator[Problem]:
    """Statements whose `payable_nats` is not the sum of all publishers' counted values in their currency."""
    counted: dict[str, Fraction] = defaultdict(Fraction)
    for statement in statements:
        counted[statement.currency] += exact(statement.attribution_payable_nats)
    for number, statement in enumerate(statements):
        # In a currency without a pool, only publishers with an open account have a statement.
        if statement.pools and exact(statement.payable_nats) != counted[statement.currency]:
            text = f"is {shown(statement.payable_nats)}, not the sum of attribution_payable_nats of all statements"
            yield Problem(f"statements[{number}].payable_nats", text)


def _other_fields(pool: StatementPool, place: str, first: StatementPool, where: str) -> Iterator[Problem]:
    for name in StatementPool.model_fields:
        own, other = getattr(pool, name), getattr(first, name)
        if own != other:
            yield Problem(f"{place}.{name}", f"is {shown(own)}, but {shown(other)} in {where}")


def _payout(statements: Statements, amount: int, pool_id: str, paid: Mapping[int, int]) -> Iterator[Problem]:
    """A pool is divided by the printed shares, which sum to 1, by largest remainder."""
    shares = {statements[number].publisher_id: exact(statements[number].share) for number in paid}
    if len(shares) < len(paid) or min(shares.values()) < 0 or sum(shares.values()) != 1:
        text = f"and the other shares of pool {pool_id} do not sum to 1, with one share for each publisher"
        yield Problem(f"statements[{min(paid)}].share", text)
        return
    due = allocate(amount, shares)
    for number, minor in paid.items():
        expected = due[statements[number].publisher_id]
        if minor != expected:
            text = f"includes {minor} of pool {pool_id}, but its share of {amount} is {expected}"
            yield Problem(f"statements[{number}].amount_minor", text)


def _disproportion(at: str, line: SourceLine, place: str, first: SourceLine) -> Iterator[Problem]:
    """For two holders of a source, value x the other's split is equal, within the tolerance of printed digits."""
    split, other = exact(line.split), exact(first.split)
    for name in _DIVIDED_NATS:
        # Whole numbers over one denominator: fractions would be reduced to lowest terms ten times a line.
        (own, own_of), (theirs, theirs_of) = (
            exact(getattr(each, name)).as_integer_ratio() for each in (line, first)
        )
        own *= other.numerator * theirs_of * split.denominator
        theirs *= split.numerator * own_of * other.denominator
        if abs(own - theirs) > PRINTED * (abs(own) + abs(theirs)):
            text = f"is {shown(getattr(line, name))}, which implies another value of the source than {place}"
            yield Problem(f"{at}.{name}", text)
    if abs(line.tokens * other - first.tokens * split) > (split + other) / 2:
        yield Problem(f"{at}.tokens", f"is {line.tokens}, which implies other tokens of the source than {place}")


def _by_currency(statements: Statements) -> Iterator[Numbered]:
    """Per currency with a pool: number and statement of each publisher that has a source."""
    active = [
        (number, statement)
        for number, statement in enumerate(statements)
        if statement.pools and any(True for _ in _source_lines(statement))
    ]
    for currency in sorted({statement.currency for _, statement in active}):
        yield [each for each in active if each[1].currency == currency]


def _source_lines(statement: Statement) -> Iterator[tuple[int, SourceLine]]:
    """Index and line of each source in the first pool; all other pools repeat these sources."""
    pool_id = statement.pools[0].pool_id
    for index, line in enumerate(statement.lines):
        if isinstance(line, SourceLine) and line.pool_id == pool_id:
            yield index, line


def _divided(policy: Policy, statements: Statements) -> Allocation:
    claims = [_claim(statement) for statement in statements]
    if "user_centric" not in policy.weights:
        return allocate_shares(policy, claims)
    attributed = {each.publisher_id: exact(each.parts.attributed) for each in statements}
    rest = 1 - sum(attributed.values(), ZERO)
    if rest < 0 or min(attributed.values()) < 0:
        raise MoneyError("attributed parts are below 0, or sum to more than 1")
    fallback = allocate_shares(Policy("fallback", basis=policy.fallback, fallback="equal"), claims)
    before = {name: part + rest * fallback.parts[name].share for name, part in attributed.items()}
    is_bounded = policy.cap is not None or policy.floor is not None
    after = limited(before, policy.cap, policy.floor) if is_bounded else before
    parts = {
        name: ShareParts(part, before[name] - part, after[name] - before[name])
        for name, part in attributed.items()
    }
    return Allocation(parts, rest, fallback.basis if rest == 1 else policy.basis)


def _claim(statement: Statement) -> Claim:
    return Claim(
        statement.publisher_id,
        exact(statement.value_nats),
        exact(statement.interval.ci_low_nats),
        exact(statement.interval.ci_high_nats),
        Fraction(sum(line.tokens for _, line in _source_lines(statement))),
    )
