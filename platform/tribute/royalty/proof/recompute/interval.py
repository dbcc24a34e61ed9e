"""The interval of a publisher's value, and the amounts that its ends would have brought."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tribute.royalty.proof.recompute.statement import differs
from tribute.royalty.proof.shapes import within
from tribute.royalty.proof.strict_json import Problem

Document = Mapping[str, Any]
_RANGE = ("amount_low_minor", "amount_low", "amount_high_minor", "amount_high", "amount_range_basis")
_ZERO = Fraction(0)


def interval_problems(statement: Document, place: str = "") -> Iterator[Problem]:
    """An interval of another value, upside down, or with a range of amounts that does not follow from its ends.

    A value need not lie between its ends: they are quantiles of resampled periods, to which the rules of
    shrinkage were applied anew.

    Args:
        place: path of the statement, such as `statements[2]`; a statement by itself has none.
    """
    at = within(place, "interval")
    yield from differs(
        f"{at}.value_nats", statement["interval"]["value_nats"], statement["value_nats"], "value_nats"
    )
    yield from _upside_down(statement["interval"], at)
    for index, line in enumerate(statement["lines"]):
        if line["source_id"] is not None:
            yield from _upside_down(line, within(place, f"lines[{index}]"))
    yield from _range(statement, at)


def _upside_down(record: Document, at: str) -> Iterator[Problem]:
    if Fraction(record["ci_low_nats"]) > Fraction(record["ci_high_nats"]):
        text = f"is {record['ci_low_nats'][:60]}, above ci_high_nats {record['ci_high_nats'][:60]}"
        yield Problem(f"{at}.ci_low_nats", text)


def _range(statement: Document, at: str) -> Iterator[Problem]:
    """In a currency without a pool the basis that was paid is not printed: there a range may be missing."""
    interval, basis = statement["interval"], {pool["allocation_basis"] for pool in statement["pools"]}
    missing = [name for name in _RANGE if name not in interval]
    if not basis <= {"attribution"} or _bounded(statement["policy"]):
        if len(missing) < len(_RANGE):
            yield Problem(at, "has a range of amounts, which only the basis attribution without limits gives")
        return
    active = any(line["source_id"] is not None for line in statement["lines"])
    if missing:
        if active or len(missing) < len(_RANGE):
            yield Problem(f"{at}.{missing[0]}", "is missing, and with it what the ends of the interval bring")
        return
    low, high = _ends(statement)
    yield from differs(f"{at}.amount_low_minor", interval["amount_low_minor"], low, "the lower end's amount")
    yield from differs(f"{at}.amount_high_minor", interval["amount_high_minor"], high, "the upper end's amount")


def _bounded(policy: Document) -> bool:
    return policy["noise_floor"] or policy["cap"] is not None or policy["floor"] is not None


def _ends(statement: Document) -> tuple[int, int]:
    """The amount, in minor units, at each end of the interval, every other publisher at its estimate."""
    pools = sum(pool["pool_amount_minor"] for pool in statement["pools"])
    others = Fraction(statement["payable_nats"]) - max(Fraction(statement["value_nats"]), _ZERO)
    found = []
    for name in ("ci_low_nats", "ci_high_nats"):
        own = max(Fraction(statement["interval"][name]), _ZERO)
        found.append(round(pools * own / (own + others)) if others > 0 else pools)
    amount = statement["amount_minor"]
    return min(amount, found[0]), max(amount, found[1])
