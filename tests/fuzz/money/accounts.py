"""A part of a project: pools divided by a policy, month after month, and every publisher's account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import yaml

from tests.fuzz.chance import Chance
from tests.fuzz.money.files import Cells, write_table
from tests.fuzz.money.oracle import (
    Account,
    Holder,
    Rule,
    Terms,
    attributed_shares,
    can_be_limited,
    half_even,
    is_limited,
    largest_remainder,
    minor_units,
    with_fallback,
)
from tests.fuzz.money.terms import COLUMNS, DIGITS, FAULTS, drawn_terms
from tests.fuzz.odd_ids import canonical, drawn_ids
from tests.fuzz.part import Part, require
from tribute.royalty.account import Agreement
from tribute.royalty.division import parse_policy
from tribute.royalty.document import AccountState, Statement
from tribute.royalty.statement import Books, LineValue, PeriodFacts, Pool, PublisherValue, build_statements
from tribute.royalty.terms import read_agreements

EVERY = {"month": 1, "quarter": 3, "year": 12}
SLACK = Fraction(1, 10**16)
"""By how much a user-centric share may differ: it is cut to parts of 10^-18 for every customer."""

POLICY_FAULTS = (
    {"bassis": "equal"}, {"basis": "atribution"}, {"cap": "1.5"}, {"cap": 0}, {"floor": "1/0"}, {"cap": 0.1234567},
    {"cap": "1/5", "floor": "1/4"}, {"basis": "blend", "blend": {"equal": "1"}},
    {"basis": "blend", "blend": {"equal": "1/2", "attribution": "1/3"}}, {"basis": "equal", "noise_floor": True},
    {"noise_floor": "yes"}, {"fallback": "attribution"}, {"name": 7}, {"basis": "equal", "blend": {"equal": "1"}},
    {"cap": "-1/2"}, {"floor": True}, {"blend": ["equal"]},
    {"basis": "blend", "blend": {"equal": 2, "attribution": -1}},
)  # fmt: skip


@dataclass
class Accounts(Part):
    """Months of one policy, their pools and values, and the terms of some publishers."""

    policy: dict[str, object] = field(kw_only=True)
    months: list[str] = field(kw_only=True)
    pools: list[list[tuple[str, str, str, str, str]]] = field(kw_only=True)
    """Per month: id, currency, revenue, deduction and rate, as written."""
    holders: list[dict[str, dict[str, tuple[Decimal, int]]]] = field(kw_only=True)
    """Per month, publisher and source: value in nats, tokens."""
    margin: Decimal = field(kw_only=True)
    fees: dict[str, Fraction] = field(kw_only=True)
    terms: list[Cells] = field(kw_only=True)
    seed: int = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """Shares, amounts, lines and balances of every month by an oracle of integers and fractions."""
        policy = parse_policy(yaml.safe_load(yaml.safe_dump(self.policy)))
        rule = Rule(policy.weights, policy.fallback, policy.noise_floor, policy.cap, policy.floor)
        publishers = {name for month in self.holders for name in month}
        spoil = FAULTS.get(self.fault)
        written: tuple[Agreement, ...] = ()
        if self.terms:
            name = write_table(folder, "agreements", [dict(row) for row in self.terms], Chance(self.seed), spoil)
            written = read_agreements(folder / name, publishers)
        agreements = {(each.publisher_id, each.currency): each for each in written}
        accounts: dict[tuple[str, str], Account] = {}
        states: dict[tuple[str, str], AccountState] = {}
        for place, month in enumerate(self.months):
            pools = tuple(
                Pool(name, currency, _minor(gross, currency), (("fees", _minor(less, currency)),), Fraction(rate))
                for name, currency, gross, less, rate in self.pools[place]
            )
            runs = dict.fromkeys(("value_run", "simulate_run", "train_run"), "run-1")
            facts = PeriodFacts(
                "drawn",
                month,
                pools,
                Decimal("0.5"),
                **runs,
                repetition="retrained",
                policy=policy,
                fees=self.fees,
            )
            values = self._values(place)
            before = with_fallback(rule, self._holders(place), self._attributed(rule, place))
            if not can_be_limited(rule, before):
                self.fault = self.fault or "a cap or floor that cannot be kept"
            statements = build_statements(facts, values, Books(agreements, states, {}))
            self._check_month(place, rule, statements, before)
            for each in statements:
                key = (each.publisher_id, each.currency)
                _check_balance(accounts.setdefault(key, Account()), self._terms(key), each)
                states[key] = each.balance.account

    def _check_month(
        self, place: int, rule: Rule, statements: list[Statement], before: dict[str, Fraction]
    ) -> None:
        """Shares by the rule, amounts by largest remainder, lines that sum to them."""
        for _, currency, *_ in self.pools[place]:
            own = {each.publisher_id: each for each in statements if each.currency == currency}
            shares = {name: Fraction(own[name].share) for name in before}
            require(sum(shares.values()) == 1, f"shares sum to {sum(shares.values())}")
            if rule.cap is None and rule.floor is None:
                far = max(abs(shares[name] - before[name]) for name in before)
                require(far <= SLACK, f"shares {shares}, expected {before}")
            else:
                require(
                    is_limited(rule, before, shares, SLACK), f"shares {shares} of {before} are not within {rule}"
                )
            paid = dict.fromkeys(own, 0)
            for _, of, gross, less, rate in self.pools[place]:
                if of == currency:
                    amount = half_even((_minor(gross, of) - _minor(less, of)) * Fraction(rate))
                    for name, minor in largest_remainder(amount, shares).items():
                        paid[name] += minor
            found = {name: each.amount_minor for name, each in own.items()}
            require(found == paid, f"amounts {found}, expected {paid}")
            for each in own.values():
                lines = sum(line.amount_minor for line in each.lines)
                require(lines == each.amount_minor, f"lines sum to {lines}, the statement to {each.amount_minor}")

    def _holders(self, place: int) -> dict[str, Holder]:
        found = {}
        for name, lines in self.holders[place].items():
            value = sum((Fraction(value) for value, _ in lines.values()), Fraction(0))
            tokens = sum(count for _, count in lines.values())
            found[name] = Holder(value, value - Fraction(self.margin), tokens, self._by_customer(name, value))
        return found

    def _attributed(self, rule: Rule, place: int) -> dict[str, Fraction]:
        return attributed_shares(rule, self._holders(place), self.fees)

    def _by_customer(self, name: str, value: Fraction) -> dict[str, Fraction]:
        """A customer's part of a value: some of it, with either sign."""
        return {
            customer: value * Fraction((len(name) * 7 + 5 * number) % 11 - 3, 11)
            for number, customer in enumerate(self.fees)
        }

    def _values(self, place: int) -> list[PublisherValue]:
        found = []
        for name, lines in self.holders[place].items():
            own = tuple(
                LineValue(source, source, "MIT", 3, value, value, value - self.margin, value + self.margin, tokens)
                for source, (value, tokens) in lines.items()
            )
            value = sum((value for value, _ in lines.values()), Decimal(0))
            customers = {who: _Exact(part) for who, part in self._by_customer(name, Fraction(value)).items()}
            figures = (value, value, value - self.margin, value + self.margin)
            found.append(PublisherValue(name, name.title(), *figures, own, 3, customers))  # type: ignore[arg-type]
        return found

    def _terms(self, key: tuple[str, str]) -> Terms:
        for row in self.terms:
            if (canonical(row["publisher_id"]), row["currency"]) == key:
                currency = row["currency"]
                return Terms(
                    Fraction(row["rate"] or 1),
                    {row["advance_period"]: _minor(row["advance"], currency)} if row["advance"] else {},
                    _minor(row["minimum_guarantee"] or "0", currency),
                    _minor(row["payout_threshold"] or "0", currency),
                    Fraction(row["reserve_rate"] or 0),
                    int(row["reserve_months"] or 0),
                    Fraction(row["withholding_rate"] or 0),
                    EVERY[row["accounting_period"] or "month"],
                )
        return Terms()


class _Exact(Fraction):
    """A fraction where a decimal is expected: `Fraction(value)` of it is itself."""


def _minor(written: str, currency: str) -> int:
    return minor_units(written, DIGITS[currency])


def _check_balance(account: Account, terms: Terms, statement: Statement) -> None:
    """The statement's balance is that of the oracle, whose account moves on."""
    expected = account.settle(terms, statement.period, statement.amount_minor)
    own = statement.balance
    found = (own.amount_paid_minor, own.withholding_tax_minor, own.closing_balance_minor)
    who = f"{statement.publisher_id[:40]!r} in {statement.period}"
    require(found == expected, f"{who}: paid, withheld and carried are {found}, expected {expected}")
    require(
        own.unrecouped_advance_minor == account.unrecouped, f"{who}: {own.unrecouped_advance_minor} unrecouped"
    )


def drawn_accounts(chance: Chance, faulty: bool) -> Accounts:
    """Some months of money, whose agreements or policy may be broken."""
    names = [canonical(name) for name in drawn_ids(chance, chance.whole(1, 5), 0.5)]
    currencies = chance.some(DIGITS, chance.of([1, 1, 2]))
    first = chance.whole(1, 10)
    months = [f"2026-{first + number:02d}" for number in range(chance.whole(1, 3))]
    broken_policy = faulty and chance.happens(0.3)
    policy = dict(chance.of(POLICY_FAULTS)) if broken_policy else _policy(chance, len(names))
    of_customers = "user_centric" in str(policy) and not broken_policy
    customers = drawn_ids(chance, chance.whole(1, 4), 0.2) if of_customers else []
    fault = ("a policy " + str(policy)) if broken_policy else chance.of(FAULTS) if faulty else ""
    terms = [
        drawn_terms(chance, name, currency) for name in names for currency in currencies if chance.happens(0.5)
    ]
    if faulty and not broken_policy:
        terms.append(dict.fromkeys(COLUMNS, "") | {"publisher_id": names[0], "currency": "USD", "rate": "1/2"})
        terms[:-1] = [row for row in terms[:-1] if row["currency"] != "USD"]
    return Accounts(
        [f"policy: {policy.get('basis', 'attribution')}", f"months: {len(months)}", f"terms: {len(terms)}"],
        fault,
        policy=policy,
        months=months,
        pools=[_pools(chance, currencies) for _ in months],
        holders=[{name: _lines(chance) for name in names} for _ in months],
        margin=chance.of([Decimal(0), Decimal("0.5"), Decimal(3)]),
        fees={canonical(name): Fraction(chance.whole(0, 5000), 100) for name in customers}
        | ({"always": Fraction(1)} if of_customers else {}),
        terms=terms,
        seed=chance.whole(0, 2**30),
    )


def _policy(chance: Chance, publishers: int) -> dict[str, object]:
    basis = chance.of(["attribution", "attribution", "token_count", "equal", "user_centric", "blend"])
    policy: dict[str, object] = {"basis": basis, "fallback": chance.of(["token_count", "equal"])}
    if basis == "blend":
        policy["blend"] = chance.of(
            [
                {"attribution": "7/10", "equal": "0.3"},
                {"token_count": "1/3", "user_centric": "1/3", "equal": "1/3"},
            ]
        )
    if basis in ("attribution", "user_centric") and chance.happens(0.3):
        policy["noise_floor"] = True
    if chance.happens(0.2):
        policy["cap"] = chance.of([f"1/{publishers}", "0.9", "1"])
    if chance.happens(0.2):
        policy["floor"] = f"1/{publishers * chance.whole(1, 20)}"
    return policy


def _pools(chance: Chance, currencies: list[str]) -> list[tuple[str, str, str, str, str]]:
    found = []
    for number, currency in enumerate([*currencies, *currencies[: chance.whole(0, 1)]]):
        whole, digits = chance.of([0, 1, 7, 1000, 123_456_789]), DIGITS[currency]
        decimals = f".{chance.whole(0, 10**digits - 1):0{digits}d}" if digits and chance.happens(0.7) else ""
        less = str(chance.of([0, whole // 3, whole]))
        rate = chance.of(["1", "0.3", "1/3", "2/7", "0"])
        found.append((f"pool-{number}", currency, f"{chance.of(['', '00'])}{whole}{decimals}", less, rate))
    return found


def _lines(chance: Chance) -> Mapping[str, tuple[Decimal, int]]:
    found = {}
    for number in range(chance.whole(1, 3)):
        value = Decimal(chance.whole(-400, 1000)) / chance.of([1, 7 * 10**3, 10**9])
        plain = Decimal(f"{value:.9f}") if chance.happens(0.8) else Decimal(0)
        found[f"source {number}"] = (plain, chance.of([0, 1, 1000, chance.whole(0, 10**6)]))
    return found
