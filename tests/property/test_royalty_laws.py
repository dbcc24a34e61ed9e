"""Laws of royalties: policies, shares, limits, accounts. With -m slow: 10,000 examples (2,000 of ten years)."""

import itertools
import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.statements import closed
from tribute.errors import PolicyError
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import balance, recounted
from tribute.royalty.account.restatement import owed
from tribute.royalty.division.allocation import UNITS, Claim, allocate_shares
from tribute.royalty.division.limits import customer_weights, limited
from tribute.royalty.division.policy import Policy, policy_from_json, policy_json
from tribute.royalty.document import AccountState, Adjustment
from tribute.royalty.exact.calendar import ends_accounting_period
from tribute.royalty.exact.money import allocate

EXAMPLES = pytest.mark.parametrize("examples", [200, pytest.param(10_000, marks=pytest.mark.slow)])
CUSTOMERS = ("ada", "bob", "eve")
ZERO = Fraction(0)


def law(examples: int, *strategies: Any) -> Any:
    """Run the decorated function on so many examples."""
    return lambda check: settings(max_examples=examples, deadline=None)(given(*strategies)(check))()


nats = st.integers(-40, 60).map(lambda n: Fraction(n, 8))
parts_of_one = st.sampled_from([Fraction(1, 5), Fraction(1, 3), Fraction(1, 2), Fraction(7, 10), Fraction(1)])
fees = st.dictionaries(st.sampled_from(CUSTOMERS), st.integers(0, 9).map(Fraction), min_size=1)


def claim(name: str, seed: int) -> Claim:
    """A claim made from one number: fewer draws make many examples cheap."""
    mixer = random.Random(seed)

    def value() -> Fraction:
        return Fraction(mixer.choice([0, mixer.randint(-40, 60)]), 8)

    middle, margin = value(), Fraction(mixer.randint(0, 9), 4)
    own = {customer: value() for customer in CUSTOMERS if mixer.random() > 0.3}
    return Claim(
        name, middle, middle - margin, middle + margin, Fraction(mixer.choice([0, mixer.randint(1, 50)])), own
    )


claims = st.lists(st.integers(0, 10**6), min_size=1, max_size=7).map(
    lambda seeds: [claim(name, seed) for name, seed in zip("abcdefg", seeds, strict=False)]
)


@st.composite
def policies(draw: st.DrawFn, noise_floor: bool = True, equal: bool = True) -> Policy:
    """Without cap and floor."""
    bases = ["attribution", "token_count", "user_centric", *(["equal"] if equal else [])]
    chosen = draw(st.lists(st.sampled_from(bases), min_size=1, max_size=3, unique=True))
    counts = [draw(st.integers(1, 5)) for _ in chosen]
    weights = {basis: Fraction(count, sum(counts)) for basis, count in zip(chosen, counts, strict=True)}
    of_values = not {"attribution", "user_centric"}.isdisjoint(chosen)
    return Policy(
        "drawn",
        basis="blend" if len(chosen) > 1 else chosen[0],
        blend=weights if len(chosen) > 1 else {},
        fallback=draw(st.sampled_from(["token_count", "equal"])) if equal else "token_count",
        noise_floor=noise_floor and of_values and draw(st.booleans()),
        customer_cap=draw(st.none() | parts_of_one),
    )


@EXAMPLES
def test_shares_sum_to_one_and_pay_the_pool(examples: int) -> None:
    @law(examples, policies(), claims, fees, st.integers(0, 10**12))
    def _(policy: Policy, drawn: list[Claim], paid: dict[str, Fraction], pool: int) -> None:
        told = allocate_shares(policy, drawn, paid)
        parts = told.parts.values()
        assert list(told.parts) == sorted(claim.publisher_id for claim in drawn)
        assert sum(part.attributed for part in parts) + told.unattributed == 1
        assert sum(part.unattributed for part in parts) == told.unattributed
        assert all(part.moved == 0 and min(part.attributed, part.unattributed) >= 0 for part in parts)
        assert (told.basis == policy.basis) == (told.unattributed < 1) or told.basis == policy.fallback
        assert sum(allocate(pool, told.shares()).values()) == pool


@EXAMPLES
def test_order_of_publishers_customers_and_sources_changes_nothing(examples: int) -> None:
    @law(examples, policies(), claims, fees, st.lists(nats, max_size=8), st.integers(0, 10**9))
    def _(
        policy: Policy, drawn: list[Claim], paid: dict[str, Fraction], sources: list[Fraction], seed: int
    ) -> None:
        def allocation(shuffle: Any) -> Any:
            values = shuffle(sources)
            mixed = [
                replace(
                    claim,
                    value=claim.value + sum(values, ZERO),
                    by_customer=dict(shuffle(claim.by_customer.items())),
                )
                for claim in shuffle(drawn)
            ]
            return allocate_shares(policy, mixed, dict(shuffle(paid.items())))

        mixer = random.Random(seed)
        told, mixed = allocation(list), allocation(lambda items: mixer.sample(list(items), len(items)))
        assert (mixed, list(mixed.parts)) == (told, list(told.parts))


@EXAMPLES
def test_a_zero_claim_is_paid_zero(examples: int) -> None:
    @law(examples, claims, st.none() | parts_of_one, st.none() | st.just(Fraction(1, 20)))
    def _(drawn: list[Claim], cap: Fraction | None, floor: Fraction | None) -> None:
        positive = [claim.publisher_id for claim in drawn if claim.value > 0]
        assume(positive and (cap or Fraction(1)) * len(positive) >= 1)
        shares = allocate_shares(Policy("limits", cap=cap, floor=floor), drawn).shares()
        assert {name for name, share in shares.items() if share} == set(positive)


@EXAMPLES
def test_splitting_a_publisher_moves_nothing(examples: int) -> None:
    """Two accounts with parts of one publisher's claim get together what the one got, and others the same.

    A customer's fee is divided in whole parts of `UNITS`, so that under `user_centric` it holds to three of them.
    """
    whole = policies(noise_floor=False, equal=False)

    @law(examples, whole, claims, fees, st.integers(1, 9))
    def _(policy: Policy, drawn: list[Claim], paid: dict[str, Fraction], tenths: int) -> None:
        assume(any(claim.tokens for claim in drawn))
        first, *others = drawn
        halves = [scaled(first, "y", Fraction(tenths, 10)), scaled(first, "z", Fraction(10 - tenths, 10))]
        before = allocate_shares(policy, drawn, paid).shares()
        after = allocate_shares(policy, [*others, *halves], paid).shares()
        after[first.publisher_id] = after.pop("y") + after.pop("z")
        slack = Fraction(3, UNITS) if "user_centric" in policy.weights else 0
        assert all(abs(after[name] - before[name]) <= slack for name in after.keys() | before.keys())


def scaled(claim: Claim, name: str, part: Fraction) -> Claim:
    own = {customer: value * part for customer, value in claim.by_customer.items()}
    return Claim(name, claim.value * part, claim.low * part, claim.high * part, claim.tokens * part, own)


@EXAMPLES
def test_cap_and_floor_are_kept_or_refused(examples: int) -> None:
    @law(examples, policies(), claims, fees, parts_of_one, st.none() | st.integers(2, 12))
    def _(policy: Policy, drawn: list[Claim], paid: dict[str, Fraction], cap: Fraction, part: int | None) -> None:
        floor = Fraction(1, part) if part else None
        assume(floor is None or floor <= cap)
        before = allocate_shares(policy, drawn, paid).shares()
        count = sum(1 for share in before.values() if share)
        try:
            told = allocate_shares(replace(policy, cap=cap, floor=floor), drawn, paid)
        except PolicyError:
            assert cap * count < 1 or (floor or 0) * count > 1
            return
        shares = told.shares()
        assert sum(shares.values()) == 1 and sum(each.moved for each in told.parts.values()) == 0
        assert all((floor or 0) <= share <= cap for name, share in shares.items() if before[name])
        assert all(share == 0 for name, share in shares.items() if not before[name])
        free = [name for name, share in shares.items() if share not in (cap, floor, ZERO)]
        assert len({shares[name] / before[name] for name in free}) <= 1


@EXAMPLES
def test_a_cap_alone_is_repeated_cutting(examples: int) -> None:
    """Oracle: cut what is above the cap, give it to the others in proportion, until nobody is above."""

    @law(examples, st.lists(st.integers(1, 60), min_size=1, max_size=7), st.integers(1, 7))
    def _(counts: list[int], least: int) -> None:
        shares = {f"p{index}": Fraction(count, sum(counts)) for index, count in enumerate(counts)}
        cap = Fraction(1, min(least, len(counts)))
        expected, full = dict(shares), set()
        while above := {name for name, share in expected.items() if share > cap}:
            full |= above
            free = sum((shares[name] for name in shares.keys() - full), ZERO)
            left = 1 - cap * len(full)
            expected = {name: cap if name in full else share / free * left for name, share in shares.items()}
        assert limited(shares, cap) == expected


@EXAMPLES
def test_no_customer_stands_for_more_than_its_cap(examples: int) -> None:
    @law(examples, st.dictionaries(st.text("abc", max_size=3), st.integers(1, 10**6), min_size=1), parts_of_one)
    def _(uses: dict[str, int], cap: Fraction) -> None:
        weights = customer_weights(uses, cap)
        counted = {name: weights[name] * count for name, count in uses.items()}
        allowed = max(cap, Fraction(1, len(uses)))
        assert all(part / sum(counted.values()) <= allowed for part in counted.values())
        assert max(weights.values()) == 1 and min(weights.values()) > 0
        reduced = [name for name in uses if weights[name] < 1]
        assert all(counted[name] / sum(counted.values()) == allowed for name in reduced)


@EXAMPLES
def test_policies_are_the_same_when_hashes_are_and_survive_json(examples: int) -> None:
    @law(examples, policies(), policies())
    def _(one: Policy, other: Policy) -> None:
        assert (one == other) == (one.sha256 == other.sha256)
        assert policy_from_json(policy_json(one)) == one


@st.composite
def agreements(draw: st.DrawFn) -> Agreement:
    rates = st.fractions(0, 1, max_denominator=1000)
    reserve = draw(rates)
    months = st.builds("{:04d}-{:02d}".format, st.integers(2020, 2029), st.integers(1, 12))
    return Agreement(
        "p",
        "EUR",
        rate=draw(rates),
        advances=tuple(sorted(draw(st.dictionaries(months, st.integers(0, 10**6), max_size=3)).items())),
        guarantee_minor=draw(st.sampled_from([0, 1000, 200_000])),
        threshold_minor=draw(st.sampled_from([0, 1, 5000, 100_000])),
        reserve_rate=reserve,
        reserve_months=draw(st.integers(1, 14)),
        withholding_rate=draw(rates),
        accounting_period=draw(st.sampled_from(["month", "quarter", "year"])),
    )


accounts = st.builds(
    AccountState,
    balance_minor=st.integers(-(10**6), 10**6),
    unrecouped_minor=st.integers(0, 10**6),
    reserves=st.dictionaries(st.sampled_from(["2019-11", "2020-02", "2021-06"]), st.integers(1, 10**5)).map(
        lambda held: tuple(sorted(held.items()))
    ),
    earned_minor=st.integers(0, 10**6),
)


@EXAMPLES
def test_the_identity_of_a_balance(examples: int) -> None:
    corrections = st.lists(
        st.builds(
            Adjustment,
            reason=st.just("why"),
            adjusts_statement_id=st.just("s-v1"),
            amount_minor=st.integers(-(10**6), 10**6),
        ),
        max_size=3,
    )

    @law(
        examples,
        agreements(),
        accounts,
        st.sampled_from(["2021-06", "2021-12"]),
        st.integers(0, 10**9),
        corrections,
    )
    def _(terms: Agreement, opening: AccountState, period: str, allocated: int, moved: list[Adjustment]) -> None:
        b = balance(terms, opening, period, allocated, moved)
        credit = opening.balance_minor + b.royalty_earned_minor + sum(each.amount_minor for each in moved)
        brought = credit - max(opening.balance_minor, 0)
        assert abs(b.royalty_earned_minor - terms.rate * allocated) <= Fraction(1, 2)
        assert b.payable_before_tax_minor == (
            credit
            - b.advance_recouped_minor
            + b.minimum_guarantee_shortfall_minor
            - b.reserve_held_minor
            + b.reserve_released_minor
        )
        assert 0 <= b.advance_recouped_minor <= max(brought, 0)
        assert b.unrecouped_advance_minor == (
            opening.unrecouped_minor + b.advance_granted_minor - b.advance_recouped_minor
        )
        assert b.unrecouped_advance_minor >= 0 and (
            not b.unrecouped_advance_minor or b.advance_recouped_minor == max(brought, 0)
        )
        settled = b.amount_paid_minor + b.withholding_tax_minor
        due = period == "2021-12" or terms.accounting_period != "year"
        pays = due and b.payable_before_tax_minor > 0 and b.payable_before_tax_minor >= terms.threshold_minor
        assert settled == (b.payable_before_tax_minor if pays else 0)
        assert abs(b.withholding_tax_minor - terms.withholding_rate * settled) <= Fraction(1, 2)
        assert b.closing_balance_minor == b.carried_forward_minor == b.payable_before_tax_minor - settled
        assert b.closing_balance_minor >= min(credit, 0), "holding a reserve or recouping makes no debt"
        held = sum(minor for _, minor in b.account.reserves)
        assert (
            held == sum(minor for _, minor in opening.reserves) + b.reserve_held_minor - b.reserve_released_minor
        )


@EXAMPLES
def test_accounts_do_not_drift_in_ten_years(examples: int) -> None:
    """Opening = previous closing, and what was earned and advanced is paid, withheld, kept or owed."""
    months = [f"{year}-{month:02d}" for year, month in itertools.product(range(2020, 2030), range(1, 13))]

    @law(max(examples // 5, 60), agreements(), st.integers(0, 10**9))
    def _(terms: Agreement, seed: int) -> None:
        mixer, account, told = random.Random(seed), AccountState(), []
        for month in months:
            wrong = (
                [
                    Adjustment(
                        reason="why", adjusts_statement_id="s-v1", amount_minor=mixer.randint(-40_000, 30_000)
                    )
                ]
                if mixer.random() > 0.8
                else []
            )
            told.append(balance(terms, account, month, mixer.choice([0, mixer.randint(0, 90_000)]), wrong))
            account = told[-1].account

        def total(name: str) -> int:
            return sum(getattr(each, name) for each in told)

        assert all(b.opening_balance_minor == a.closing_balance_minor for a, b in itertools.pairwise(told))
        assert total("advance_granted_minor") == sum(minor for _, minor in terms.advances)
        assert total("advance_granted_minor") == total("advance_recouped_minor") + account.unrecouped_minor
        came = total("royalty_earned_minor") + total("prior_period_adjustment_minor")
        went = total("amount_paid_minor") + total("withholding_tax_minor") + total("advance_recouped_minor")
        left = account.balance_minor + sum(minor for _, minor in account.reserves)
        assert came + total("minimum_guarantee_shortfall_minor") == went + left
        length = {"month": 1, "quarter": 3, "year": 12}[terms.accounting_period]
        for begin in range(0, 120, length):
            accounted = told[begin : begin + length]
            earned = sum(b.royalty_earned_minor for b in accounted)
            shortfall = sum(b.minimum_guarantee_shortfall_minor for b in accounted)
            assert shortfall == max(0, terms.guarantee_minor - earned)
            assert not any(b.amount_paid_minor for b in accounted[:-1])
        assert all(len(b.account.reserves) <= terms.reserve_months for b in told)


@EXAMPLES
def test_a_threshold_only_delays(examples: int) -> None:
    """Of two years with and without a threshold, each month differs in nothing but what is paid and carried.

    Corrections are upwards: one downwards is taken off what is carried, where that has not been paid yet.
    """
    months = [f"{year}-{month:02d}" for year, month in itertools.product((2020, 2021), range(1, 13))]
    same = ("advance_recouped_minor", "minimum_guarantee_shortfall_minor", "reserve_held_minor",
            "reserve_released_minor", "unrecouped_advance_minor")  # fmt: skip

    @law(max(examples // 5, 60), agreements(), st.integers(1, 10**6), st.integers(0, 10**9))
    def _(terms: Agreement, threshold: int, seed: int) -> None:
        mixer, accounts = random.Random(seed), [AccountState(), AccountState()]
        both, settled = [replace(terms, threshold_minor=minor) for minor in (0, threshold)], [0, 0]
        for month in months:
            allocated = mixer.choice([0, mixer.randint(0, 90_000)])
            moved = (
                [Adjustment(reason="why", adjusts_statement_id="s-v1", amount_minor=mixer.randint(0, 9_000))]
                if mixer.random() > 0.8
                else []
            )
            at_once, late = (
                balance(own, account, month, allocated, moved) for own, account in zip(both, accounts, strict=True)
            )
            assert [getattr(at_once, name) for name in same] == [getattr(late, name) for name in same]
            accounts = [at_once.account, late.account]
            for index, told in enumerate((at_once, late)):
                settled[index] += told.amount_paid_minor + told.withholding_tax_minor
            assert settled[1] <= settled[0]
            assert settled[0] + at_once.closing_balance_minor == settled[1] + late.closing_balance_minor


@EXAMPLES
def test_an_accounting_period_credits_its_guarantee_or_what_its_final_versions_earned(examples: int) -> None:
    """Whatever is restated, in whatever order: earned + adjustments + shortfall == max(guarantee, earned at last).

    A year and a half is closed month by month; after each closing some closed months are restated, and two months
    more carry what is left. In some months the publisher has no statement: before it is known, by `joins` or by
    its first restatement, and where nothing is allocated, owed, kept or guaranteed.
    """
    months = [f"{year}-{month:02d}" for year, month in itertools.product((2026, 2027), range(1, 13))][:20]
    earned = st.integers(0, 300)
    restated = st.dictionaries(st.integers(0, 17), st.lists(st.tuples(st.integers(0, 17), earned), max_size=3))

    @law(
        max(examples // 5, 60),
        st.sampled_from(["month", "quarter", "year"]),
        st.integers(0, 1_500),
        st.lists(st.none() | earned, min_size=18, max_size=18),
        st.sampled_from([0, 0, 2, 5, 13]),
        restated,
    )
    def _(
        kind: str, guarantee: int, first: list[int | None], joins: int, again: dict[int, list[tuple[int, int]]]
    ) -> None:
        terms = Agreement("p", "EUR", guarantee_minor=guarantee, accounting_period=kind)
        account, final, told = AccountState(), [], {}

        def close(month: int, minor: int | None) -> None:
            nonlocal account
            carried = owed(final, months[month]).get(("p", "EUR"), [])
            other = recounted(Agreement("other", "EUR"), 0)
            final.append((closed(Agreement("other", "EUR"), months[month], 1, other), None))
            known = month >= joins or any(each.publisher_id == "p" for each, _ in final)
            due = known and guarantee and ends_accounting_period(months[month], kind)
            if carried or due or account != AccountState() or (known and minor is not None):
                told[month] = balance(terms, account, months[month], (known and minor) or 0, carried)
                account = told[month].account
                final.append((closed(terms, months[month], 1, told[month]), None))

        versions = [1] * 18
        for month in range(18):
            close(month, first[month])
            assert owed(final, months[month + 1]) == {}, "each month carries all that is owed, and tops up no more"
            for index, minor in again.get(month, []):
                if index <= month:
                    versions[index] += 1
                    corrected = recounted(terms, minor)
                    final.append((closed(terms, months[index], versions[index], corrected), "why"))
        close(18, None)
        assert owed(final, months[19]) == {}
        length = {"month": 1, "quarter": 3, "year": 12}[kind]
        for begin in range(0, 18 - length + 1, length):
            own = months[begin : begin + length]
            of_months = [told[month] for month in range(begin, begin + length) if month in told]
            credited = sum(b.royalty_earned_minor + b.minimum_guarantee_shortfall_minor for b in of_months)
            credited += sum(each.amount_minor for b in told.values() for each in b.adjustments
                            if each.adjusts_statement_id[5:12] in own)  # fmt: skip
            newest = {s.period: s.balance.royalty_earned_minor
                      for s, _ in sorted(final, key=lambda one: one[0].statement_version)
                      if s.publisher_id == "p" and s.period in own}  # fmt: skip
            assert credited == (max(guarantee, sum(newest.values())) if newest else 0)
