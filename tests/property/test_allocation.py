"""Laws of money: the division of a pool, of a publisher's amount over its lines, and of a source over a period."""

import itertools
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tribute.royalty.division.allocation import ShareParts
from tribute.royalty.exact import allocate
from tribute.royalty.statement import LineValue, PublisherValue
from tribute.royalty.statement.lines import PoolMoney, statement_lines
from tribute.royalty.terms import Right, RightsBook

weights = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), st.integers(0, 10**12), min_size=1, max_size=40
)
small = st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any)


def shares_of(counts: dict[str, int]) -> dict[str, Fraction]:
    total = sum(counts.values())
    return {name: Fraction(count, total) for name, count in counts.items()}


@given(st.integers(0, 10**15), weights.filter(lambda w: any(w.values())))
def test_amounts_sum_to_the_pool_and_stay_within_one_unit(pool: int, counts: dict[str, int]) -> None:
    shares = shares_of(counts)
    paid = allocate(pool, shares)
    assert sum(paid.values()) == pool
    assert all(abs(paid[name] - pool * share) < 1 for name, share in shares.items())
    assert all(paid[name] == 0 for name, share in shares.items() if not share)


@given(st.integers(0, 10**6), weights.filter(lambda w: any(w.values())), st.randoms(use_true_random=False))
def test_the_order_of_publishers_changes_no_amount(pool: int, counts: dict[str, int], random: object) -> None:
    names = list(counts)
    random.shuffle(names)  # type: ignore[attr-defined]
    shares = shares_of(counts)
    assert allocate(pool, {name: shares[name] for name in names}) == allocate(pool, shares)


@given(st.integers(0, 12), small)
@settings(max_examples=200, deadline=None)
def test_no_division_in_whole_units_is_nearer(pool: int, counts: list[int]) -> None:
    """Oracle: of all whole divisions the nearest in squares; of equal ones, the smaller ids' first."""
    shares = shares_of({f"p{index}": count for index, count in enumerate(counts)})
    exact = [pool * share for share in shares.values()]
    divisions = (d for d in itertools.product(range(pool + 1), repeat=len(exact)) if sum(d) == pool)

    def distance(division: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
        away = sum(((paid - part) ** 2 for paid, part in zip(division, exact, strict=True)), Fraction(0))
        return away, tuple(-paid for paid in division)

    assert tuple(allocate(pool, shares).values()) == min(divisions, key=distance)


parts_of_one = st.integers(0, 8).map(lambda eighths: Fraction(eighths, 8))
values = st.decimals(-1000, 1000, places=9)
sources = st.dictionaries(
    st.text("x:/", min_size=1, max_size=4), st.tuples(values, st.integers(0, 99)), min_size=1
)
money = st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**9), min_size=1)


@given(sources, money, parts_of_one, parts_of_one, st.sampled_from(["attribution", "token_count"]))
def test_lines_sum_to_what_each_pool_gave(
    of: dict[str, tuple[Decimal, int]], pools: dict[str, int], share: Fraction, attributed: Fraction, basis: str
) -> None:
    """Whatever values, tokens and parts: no unit is lost, none goes to harm while anything helped, shares sum."""
    rows = [LineValue(name, name, "", 1, nats, nats, nats, nats, tokens) for name, (nats, tokens) in of.items()]
    total = sum((nats for nats, _ in of.values()), Decimal(0))
    publisher = PublisherValue("p", "P", total, total, total, total, tuple(rows))
    part = ShareParts(share * attributed, share * (1 - attributed), Fraction(0))
    given_money = [PoolMoney(name, minor if share else 0) for name, minor in pools.items()]
    lines = statement_lines("s", publisher, part, given_money, basis, "EUR")
    assert len({line.line_id for line in lines}) == len(lines)
    weights = {
        name: max(nats, Decimal(0)) if basis == "attribution" else tokens for name, (nats, tokens) in of.items()
    }
    for pool in given_money:
        own = [line for line in lines if line.pool_id == pool.pool_id]
        assert sum(line.amount_minor for line in own) == pool.minor
        assert sum(Fraction(line.share) for line in own) == share
        for line in own:
            exact = pool.minor * Fraction(line.share) / share if share else 0
            assert abs(line.amount_minor - exact) < 1
            if any(weights.values()) and line.source_id is not None and not weights[line.source_id]:
                assert line.amount_minor == 0


@st.composite
def books(draw: st.DrawFn) -> RightsBook:
    """A source whose parts change on some days, and sum to 1 on each."""
    cuts = sorted(draw(st.sets(st.integers(-20, 50), max_size=4)))
    days = [None, *(date(2026, 10, 1) + timedelta(days=cut) for cut in cuts), None]
    rights = []
    for begin, end in itertools.pairwise(days):
        counts = draw(st.dictionaries(st.sampled_from("pqrs"), st.integers(1, 7), min_size=1))
        rights += [Right("s", name, part, begin, end) for name, part in shares_of(counts).items()]
    return RightsBook(tuple(rights), ())


@given(books(), st.randoms(use_true_random=False))
def test_splits_of_a_period_sum_to_one_and_equal_the_mean_of_its_days(book: RightsBook, random: object) -> None:
    """Oracle: ask every day who holds what, and average."""
    first, after = date(2026, 10, 1), date(2026, 11, 1)
    splits = book.period_splits(first, after, ["s"])
    assert sum(splits.values()) == 1
    daily: dict[tuple[str, str], Fraction] = {}
    for day in (first + timedelta(days=number) for number in range(31)):
        for right in book.rights:
            if right.holds(day):
                key = ("s", right.publisher_id)
                daily[key] = daily.get(key, Fraction(0)) + right.split / 31
    assert splits == daily
    mixed = list(book.rights)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert RightsBook(tuple(mixed), ()).period_splits(first, after, ["s"]) == splits
