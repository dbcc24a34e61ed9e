"""Values, shares and interval of a statement and its lines, recomputed from each other."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from tribute.royalty.document import PolicyRecord, SourceLine, Statement, UnattributedLine, ValueInterval
from tribute.royalty.exact.money import allocate
from tribute.royalty.proof.findings import Problem, differs, shown, within
from tribute.royalty.proof.recompute.statement import ZERO, amount_problems, exact

Line = SourceLine | UnattributedLine
Lines = Sequence[tuple[int, Line]]
PRINTED = Fraction(1, 10**8)
"""Relative tolerance of sums of nats, which are printed with nine digits: of the sum of the absolute values."""
_OF_POOL = {"line_id", "pool_id", "amount_minor", "amount"}
_OF_SOURCE = [name for name in SourceLine.model_fields if name not in _OF_POOL]
_BY_TOKENS = ("token_count", "equal")
_BY_VALUE = ("attribution", "user_centric")
_RANGE = ("amount_low_minor", "amount_low", "amount_high_minor", "amount_high", "amount_range_basis")


def share_problems(statement: Statement, place: str = "") -> Iterator[Problem]:
    """Values, parts, shares, amounts of lines and interval that do not follow from each other.

    counted value = max(value, 0); a value is the sum of the lines of each pool, within `PRINTED`
    share of a source's line = attributed part of the statement x counted value / counted values of all sources,
        or by tokens where tokens were paid or no value counts
    share of the unattributed line = unattributed part of the statement
    amounts of a pool's lines = their shares of what the pool paid, by largest remainder

    Args:
        place: path of the statement in its document, such as `statements[2]`; empty for a single statement.
    """
    yield from _interval(statement, place)
    yield from _parts(statement, place)
    yield from _counted(statement, place)
    of_pool: dict[str, list[tuple[int, Line]]] = {pool.pool_id: [] for pool in statement.pools}
    for index, line in enumerate(statement.lines):
        at = within(place, f"lines[{index}]")
        if line.source_id == "":
            yield Problem(f"{at}.source_id", "is empty, expected the id of a source")
        if isinstance(line, SourceLine):
            yield from _counted(line, at)
            yield from _order_of_ends(line, at)
        of_pool.setdefault(line.pool_id, []).append((index, line))
    basis = {pool.pool_id: pool.allocation_basis for pool in statement.pools}
    first = next(iter(of_pool.values()), [])
    for pool_id, lines in of_pool.items():
        yield from _sums(statement, lines, pool_id, place)
        yield from _repeated(first, lines, place)
        yield from _shares(statement, lines, basis.get(pool_id, ""), pool_id, place)
        yield from _amounts(lines, pool_id, place)


def _counted(record: Statement | SourceLine, place: str) -> Iterator[Problem]:
    value, counted = exact(record.value_nats), exact(record.attribution_payable_nats)
    if counted != max(value, ZERO):
        text = f"is {shown(record.attribution_payable_nats)}, expected value_nats where above 0, otherwise 0"
        yield Problem(within(place, "attribution_payable_nats"), text)


def _sums(statement: Statement, lines: Lines, pool_id: str, place: str) -> Iterator[Problem]:
    sources = [line for _, line in lines if isinstance(line, SourceLine)]
    for name in ("attribution_signed_nats", "value_nats"):
        own = exact(getattr(statement, name))
        values = [exact(getattr(line, name)) for line in sources]
        if abs(sum(values) - own) > PRINTED * (sum(map(abs, values)) + abs(own)):
            text = f"is {shown(getattr(statement, name))}, which is not the sum of the lines of pool {pool_id}"
            yield Problem(within(place, name), text)


def _repeated(first: Lines, lines: Lines, place: str) -> Iterator[Problem]:
    """Every pool has the sources of the first pool, equal in every field that does not depend on the pool."""
    sources = {line.source_id: line for _, line in first}
    if sources.keys() != {line.source_id for _, line in lines}:
        yield Problem(within(place, "lines"), "have different sources in different pools")
    if lines is first:
        return
    for index, line in lines:
        other = sources.get(line.source_id, line)
        for name in _OF_SOURCE:
            if getattr(line, name) != getattr(other, name):
                text = "differs from the line of the same source in the first pool"
                yield Problem(within(place, f"lines[{index}].{name}"), text)


def _shares(statement: Statement, lines: Lines, basis: str, pool_id: str, place: str) -> Iterator[Problem]:
    share = exact(statement.share)
    if sum((exact(line.share) for _, line in lines), ZERO) != share:
        text = f"of pool {pool_id} have shares that do not sum to the statement's, {shown(statement.share)}"
        yield Problem(within(place, "lines"), text)
    attributed, unattributed = exact(statement.parts.attributed), exact(statement.parts.unattributed)
    whole = attributed + unattributed
    scale = share / whole if whole else ZERO
    weights = _weights([line for _, line in lines if isinstance(line, SourceLine)], basis)
    per_weight = attributed * scale / sum(weights, ZERO) if weights else ZERO
    by_source = iter(weights)
    for index, line in lines:
        expected = per_weight * next(by_source) if isinstance(line, SourceLine) else unattributed * scale
        if exact(line.share) != expected:
            text = f"is {shown(line.share)}, which does not follow from parts, values and tokens"
            yield Problem(within(place, f"lines[{index}].share"), text)


def _weights(sources: Sequence[SourceLine], basis: str) -> list[Fraction]:
    """What each source's line counts for; the sum is above 0 unless there is no source."""
    counted = [max(exact(line.value_nats), ZERO) for line in sources]
    if basis in _BY_TOKENS or not any(counted):
        counted = [Fraction(line.tokens) for line in sources]
    return counted if any(counted) else [Fraction(1)] * len(counted)


def _amounts(lines: Lines, pool_id: str, place: str) -> Iterator[Problem]:
    shares = {line.source_id or "": exact(line.share) for _, line in lines}
    paid, total = sum(line.amount_minor for _, line in lines), sum(shares.values(), ZERO)
    if len(shares) < len(lines) or paid < 0 or any(share < 0 for share in shares.values()):
        text = f"of pool {pool_id} have a source twice, a share below 0 or a sum below 0"
        yield Problem(within(place, "lines"), text)
        return
    due = allocate(paid, {name: share / total for name, share in shares.items()}) if total else {}
    why = f"its share of the {paid} of pool {pool_id}, by largest remainder"
    for index, line in lines:
        expected = due.get(line.source_id or "", 0)
        yield from differs(within(place, f"lines[{index}].amount_minor"), line.amount_minor, expected, why)


def _parts(statement: Statement, place: str) -> Iterator[Problem]:
    """Parts of the share, and bases of pools, that contradict the policy and the publisher's own value.

    Without cap and floor, `moved` is 0. Under `attribution`, `attributed` is counted value / payable_nats, or 0
    where the noise floor excludes the value. Without a noise floor, the rest is not `unattributed`.
    """
    for name, part, why in _expected_parts(statement):
        written = getattr(statement.parts, name)
        if exact(written) != part:
            yield Problem(within(place, f"parts.{name}"), f"is {shown(written)}, expected {shown(part)}: {why}")
    for name in ("attributed", "unattributed"):
        written = getattr(statement.parts, name)
        if exact(written) < 0:
            yield Problem(within(place, f"parts.{name}"), f"is {shown(written)}, below 0")
    if exact(statement.payable_nats) < exact(statement.attribution_payable_nats):
        text = f"is {shown(statement.payable_nats)}, less than this publisher's counted value"
        yield Problem(within(place, "payable_nats"), text)
    policy, attributed = statement.policy, exact(statement.parts.attributed)
    for index, pool in enumerate(statement.pools):
        basis = pool.allocation_basis
        fell_back = basis in (policy.fallback, "equal") and not attributed
        if basis != policy.basis and not fell_back:
            text = f"is {basis!r}, expected {policy.basis!r}, or the fallback where nothing is attributed"
            yield Problem(within(place, f"pools[{index}].allocation_basis"), text)


def _expected_parts(statement: Statement) -> Iterator[tuple[str, Fraction, str]]:
    policy = statement.policy
    if policy.cap is None and policy.floor is None:
        yield "moved", ZERO, "the policy has neither cap nor floor"
    if not any(isinstance(line, SourceLine) for line in statement.lines):
        for name in ("attributed", "unattributed"):
            yield name, ZERO, "the publisher has no pool or no source"
        return
    payable, low = exact(statement.payable_nats), exact(statement.interval.ci_low_nats)
    if policy.noise_floor and policy.basis in _BY_VALUE and low <= 0:
        yield "attributed", ZERO, "the interval reaches 0, and the policy has a noise floor"
    elif policy.basis == "attribution":
        counted = exact(statement.attribution_payable_nats)
        yield "attributed", counted / payable if payable > 0 else ZERO, "counted value / payable_nats"
        if payable > 0 and not policy.noise_floor:
            yield "unattributed", ZERO, "values count and the policy has no noise floor"


def _interval(statement: Statement, place: str) -> Iterator[Problem]:
    """An interval of another value, with ends in the wrong order, or amounts that do not follow from its ends.

    The value may lie outside: the ends are quantiles over draws, the value is their mean.
    """
    interval, at = statement.interval, within(place, "interval")
    yield from differs(
        f"{at}.value_nats", interval.value_nats, statement.value_nats, "value_nats of the statement"
    )
    yield from _order_of_ends(interval, at)
    yield from _amount_range(statement, at)
    for name in ("amount_low", "amount_high"):
        minor, text = getattr(interval, f"{name}_minor"), getattr(interval, name)
        if minor is not None and text is not None:
            yield from amount_problems(minor, text, name, statement.currency, at)


def _order_of_ends(record: SourceLine | ValueInterval, at: str) -> Iterator[Problem]:
    if exact(record.ci_low_nats) > exact(record.ci_high_nats):
        text = f"is {shown(record.ci_low_nats)}, above ci_high_nats {shown(record.ci_high_nats)}"
        yield Problem(f"{at}.ci_low_nats", text)


def _amount_range(statement: Statement, at: str) -> Iterator[Problem]:
    """A range of shares, and of amounts, that the policy does not permit, is incomplete, or does not follow.

    A currency without a pool does not print the basis that was paid, so a range of amounts may be there or not.
    Statements of earlier releases have amounts without shares, by the basis attribution alone.
    """
    interval, policy = statement.interval, statement.policy
    amounts = [name for name in _RANGE if getattr(interval, name) is None]
    ends = [end for end in (interval.share_low, interval.share_high) if end is not None]
    weight = _weight_of_value(policy)
    if ends:
        low, high = exact(ends[0]), exact(ends[-1])
        if len(ends) < 2 or not ZERO <= low <= high <= 1 or not weight:
            text = "needs two shares from 0 to 1, the lower first, of what the policy divides by value"
            yield Problem(f"{at}.share_low", text)
            return
    permitted = weight if ends else policy.basis == "attribution"
    if not permitted or _is_bounded(policy) or not _by_policy(statement):
        if len(amounts) < len(_RANGE):
            text = "has a range of amounts, which does not follow from a share by value under this policy"
            yield Problem(at, text)
        return
    if amounts:
        if ends or len(amounts) < len(_RANGE):
            yield Problem(
                f"{at}.{amounts[0]}", "is missing: the amounts at the ends of the interval are incomplete"
            )
        return
    for name, minor in zip(("low", "high"), _ends(statement, weight), strict=True):
        place = f"{at}.amount_{name}_minor"
        yield from differs(
            place, getattr(interval, f"amount_{name}_minor"), minor, f"the amount at the {name} end"
        )


def _by_policy(statement: Statement) -> bool:
    """Whether no pool was divided by the fallback alone."""
    return {pool.allocation_basis for pool in statement.pools} <= {statement.policy.basis}


def _weight_of_value(policy: PolicyRecord) -> Fraction:
    """The part of a pool that the policy divides by the share by value."""
    if policy.basis == "attribution":
        return Fraction(1)
    return exact(policy.blend.get("attribution", "0"))


def _is_bounded(policy: PolicyRecord) -> bool:
    limited = policy.noise_floor or policy.cap is not None or policy.floor is not None
    return limited or "user_centric" in policy.blend


def _ends(statement: Statement, weight: Fraction) -> tuple[int, int]:
    """The amount in minor units at each end of the interval."""
    pools, payable = sum(pool.pool_amount_minor for pool in statement.pools), exact(statement.payable_nats)
    counted, interval = max(exact(statement.value_nats), ZERO), statement.interval
    amounts = []
    for share, nats in ((interval.share_low, interval.ci_low_nats), (interval.share_high, interval.ci_high_nats)):
        if share is not None:
            whole = exact(statement.share) + weight * (exact(share) - (counted / payable if payable else ZERO))
        else:  # an earlier release: every other publisher at its estimate
            own, others = max(exact(nats), ZERO), payable - counted
            whole = own / (own + others) if others > 0 else Fraction(1)
        amounts.append(round(pools * whole))
    return min(statement.amount_minor, amounts[0]), max(statement.amount_minor, amounts[1])
