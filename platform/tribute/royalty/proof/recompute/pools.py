"""How the statements of a period divide its pools: between them nothing is paid twice, and nothing is left."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tribute.royalty.exact.money import allocate
from tribute.royalty.proof.recompute.statement import differs
from tribute.royalty.proof.strict_json import Problem

Document = Mapping[str, Any]


def pool_problems(statements: Sequence[Document]) -> Iterator[Problem]:
    """Pools that their statements do not pay out exactly, do not agree on, or whose unattributed part is wrong."""
    said: dict[tuple[str, str], tuple[Document, str]] = {}
    paid: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for number, statement in enumerate(statements):
        for index, pool in enumerate(statement["pools"]):
            key, place = (statement["currency"], pool["pool_id"]), f"statements[{number}].pools[{index}]"
            first, where = said.setdefault(key, (pool, place))
            for name in sorted(pool.keys() & first.keys()):
                if pool[name] != first[name]:
                    yield Problem(f"{place}.{name}", f"is {pool[name]}, but {first[name]} in {where}")
            paid[key].setdefault(number, 0)
        for line in statement["lines"]:
            own = paid[statement["currency"], line["pool_id"]]
            own[number] = own.get(number, 0) + line["amount_minor"]
    for key, (pool, where) in said.items():
        amount, total = pool["pool_amount_minor"], sum(paid[key].values())
        if total != amount:
            text = f"of pool {key[1]} is {amount} {key[0]}, the lines of all statements pay {total} of it"
            yield Problem(f"{where}.pool_amount_minor", text)
        yield from _division(statements, amount, key[1], paid[key])
        parts = (Fraction(statements[number]["parts"]["unattributed"]) for number in paid[key])
        expected = round(amount * sum(parts, Fraction(0)))
        why = "the pool times the unattributed parts of all statements, half to even"
        yield from differs(f"{where}.unattributed_minor", pool["unattributed_minor"], expected, why)


def _division(
    statements: Sequence[Document], amount: int, pool_id: str, paid: Mapping[int, int]
) -> Iterator[Problem]:
    """That a pool is divided by the printed shares: they sum to 1, and each gets its largest remainder."""
    shares = {str(statements[number]["publisher_id"]): Fraction(statements[number]["share"]) for number in paid}
    if len(shares) < len(paid) or min(shares.values()) < 0 or sum(shares.values()) != 1 or amount < 0:
        first = f"statements[{min(paid)}].share"
        yield Problem(first, f"and the others of pool {pool_id} are not one part of 1 for each publisher")
        return
    due = allocate(amount, shares)
    for number, minor in paid.items():
        expected = due[str(statements[number]["publisher_id"])]
        if minor != expected:
            text = f"pays {minor} of pool {pool_id}, its share of {amount} is {expected}"
            yield Problem(f"statements[{number}].amount_minor", text)


def payable_problems(statements: Sequence[Document]) -> Iterator[Problem]:
    """Statements of a period that print another sum of all publishers' counted values than they have."""
    counted: dict[str, Fraction] = defaultdict(Fraction)
    for statement in statements:
        counted[statement["currency"]] += Fraction(statement["attribution_payable_nats"])
    for number, statement in enumerate(statements):
        # Without a pool, only publishers with an open account have a statement in the currency.
        if statement["pools"] and Fraction(statement["payable_nats"]) != counted[statement["currency"]]:
            text = f"is {statement['payable_nats'][:60]}, not the attribution_payable_nats of all statements"
            yield Problem(f"statements[{number}].payable_nats", text)
