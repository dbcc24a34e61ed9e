"""Statements of a period: their sums, the unattributed part, and the same bytes every time."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction as F

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.statements import EUROS, four_publishers, line, with_share_ends
from tribute.errors import MoneyError
from tribute.royalty.account import Agreement
from tribute.royalty.division import Policy
from tribute.royalty.document import AccountState, Adjustment, Statement
from tribute.royalty.proof.recompute.statement import statement_problems
from tribute.royalty.statement import Books, PeriodFacts, Pool, PublisherValue, build_statements, check_period

HOLDERS = four_publishers()
UNSURE = with_share_ends(HOLDERS)
FACTS = PeriodFacts("demo", "2026-10", EUROS, Decimal("0.25"), "value-1", "simulate-1", "train-1", "retrained")
SEVERAL = (Pool("answers", "EUR", 1_000_000), Pool("licences", "EUR", 101), Pool("tokyo", "JPY", 777))
NOBODY = PublisherValue("zeta", "Zeta", *[Decimal(0)] * 4, lines=())
BELOW_ZERO = {"aurora": ("-3", "-1"), "borealis": ("-5", "-3"), "cassini": ("-0.5",), "dahlia": ("-2",)}
NOISE = Policy("careful", noise_floor=True)


def single(*lines: tuple[str, str, int]) -> PublisherValue:
    """A publisher of sources with values and tokens, without intervals."""
    rows = tuple(line(source, value, "0", tokens) for source, value, tokens in lines)
    value = sum((row.value_nats for row in rows), Decimal(0))
    return PublisherValue("one", "One", value, value, value, value, rows)


def by_publisher(statements: list[Statement]) -> dict[str, Statement]:
    return {each.publisher_id: each for each in statements}


def test_the_header_names_period_runs_version_and_state() -> None:
    first = build_statements(FACTS, HOLDERS)[0]
    assert first.statement_id == "demo-2026-10-aurora-EUR-v1"
    assert (first.period_start, first.period_end) == ("2026-10-01", "2026-10-31")
    assert (first.value_run, first.simulate_run, first.train_run) == ("value-1", "simulate-1", "train-1")
    assert (first.status, first.supersedes_statement_id) == ("draft", None)
    assert (first.share, first.share_percent) == ("4/5", "80.0000")
    before = frozenset({("aurora", "EUR")})
    later = build_statements(replace(FACTS, statement_version=3, superseded=before, final=True), HOLDERS)
    assert (later[0].statement_id, later[0].status) == ("demo-2026-10-aurora-EUR-v3", "final")
    assert [each.supersedes_statement_id for each in later] == ["demo-2026-10-aurora-EUR-v2", *[None] * 3]
    assert {each.restates_statement_version for each in later} == {2}, "also of those who had no statement"


ODD_IDS = st.text("ab:-%EUR1v.", min_size=1, max_size=12).filter(lambda name: name == name.strip())


@given(st.sets(ODD_IDS, min_size=1, max_size=3), st.sets(ODD_IDS, min_size=1, max_size=3))
@example({"one", "one-EUR-v1:answers:s"}, {"s", "s-EUR-v1", "answers:s"})
def test_no_two_statements_or_lines_share_an_id(publishers: set[str], sources: set[str]) -> None:
    holders = [replace(single(*((name, "1", 10) for name in sources)), publisher_id=each) for each in publishers]
    ids = []
    for version in (1, 2, 11):
        for each in build_statements(replace(FACTS, statement_version=version), holders):
            ids += [each.statement_id, *(row.line_id for row in each.lines)]
            assert list(statement_problems(each)) == []
    assert len(ids) == len(set(ids)) == 3 * len(publishers) * (1 + len(sources))


def test_the_id_of_a_publisher_without_colons_stands_as_it_is() -> None:
    one, other = build_statements(FACTS, [replace(single(("s", "1", 10)), publisher_id=p) for p in ("a/b", "a:b")])
    assert (one.statement_id, other.statement_id) == ("demo-2026-10-a/b-EUR-v1", "demo-2026-10-a%3Ab-EUR-v1")
    assert other.lines[0].line_id.startswith("demo-2026-10-a%3Ab-EUR-v1:")


def test_no_account_and_no_adjustment_is_left_behind() -> None:
    """A publisher whose rights have ended, a currency without a pool this month, a correction downwards."""
    gone = PublisherValue("gone", "Gone", *([Decimal(0)] * 4), lines=())
    accounts = {
        ("gone", "EUR"): AccountState(balance_minor=5_000, reserves=(("2025-01", 700),)),
        ("aurora", "JPY"): AccountState(balance_minor=90),
    }
    moved = {
        ("gone", "EUR"): [
            Adjustment(reason="rights were another's", adjusts_statement_id="old", amount_minor=-300)
        ]
    }
    statements = build_statements(FACTS, [*HOLDERS, gone], Books({}, accounts, moved))
    found = {each.key: each for each in statements}
    assert found["gone", "EUR"].balance.amount_paid_minor == 5_000 + 700 - 300
    assert found["aurora", "JPY"].balance.amount_paid_minor == 90
    assert (found["aurora", "JPY"].pools, found["aurora", "JPY"].share) == ((), "0")
    assert len(statements) == len(HOLDERS) + 2
    check_period(statements)


def test_a_guarantee_and_an_advance_in_a_currency_without_a_pool_are_not_left_out() -> None:
    """Euros are divided. A quarter's guarantee of 100 yen falls due in March, an advance of 70 in its month."""
    terms = Agreement("aurora", "JPY", guarantee_minor=100, accounting_period="quarter")
    advanced = Agreement("borealis", "KWD", advances=(("2026-02", 70),))
    books = Books({("aurora", "JPY"): terms, ("borealis", "KWD"): advanced}, {}, {})
    found = {
        month: {
            each.publisher_id: each.balance
            for each in build_statements(replace(FACTS, period=month), HOLDERS, books)
            if each.currency != "EUR"
        }
        for month in ("2026-02", "2026-03")
    }
    assert {month: list(of_month) for month, of_month in found.items()} == {
        "2026-02": ["borealis"],
        "2026-03": ["aurora"],
    }
    assert found["2026-03"]["aurora"].amount_paid_minor == 100
    assert found["2026-02"]["borealis"].unrecouped_advance_minor == 70


def test_a_restated_version_has_everybody_who_had_a_statement_and_pays_nothing() -> None:
    """Also one that the rights no longer name, in a currency without a pool; accounts add nobody."""
    gone = PublisherValue("gone", "Gone", *([Decimal(0)] * 4), lines=())
    facts = replace(
        FACTS, statement_version=2, final=True, superseded=frozenset({("gone", "JPY"), ("aurora", "EUR")})
    )
    terms = Agreement("aurora", "EUR", guarantee_minor=10**7, advances=(("2026-10", 5_000),))
    books = Books(
        {("aurora", "EUR"): terms},
        {("aurora", "KWD"): AccountState(balance_minor=9)},
        {("aurora", "EUR"): [Adjustment(reason="why", adjusts_statement_id="v1", amount_minor=7)]},
    )
    statements = build_statements(facts, [*HOLDERS, gone], books)
    found = {each.key: each.balance for each in statements}
    assert set(found) == {(name, "EUR") for name in ("aurora", "borealis", "cassini", "dahlia", "gone")} | {
        ("gone", "JPY")
    }
    assert found["aurora", "EUR"].royalty_earned_minor == 800_000
    told = {name for each in found.values() for name, value in each.plain().items() if value and name != "account"}
    assert told == {"royalty_allocated_minor", "royalty_earned_minor", "royalty_rate", "withholding_tax_rate"}
    check_period(statements)


def test_several_pools_and_currencies_foot() -> None:
    statements = build_statements(replace(FACTS, pools=SEVERAL), HOLDERS)
    pools = {key: money.minor for key, money in check_period(statements).items()}
    assert pools == {("answers", "EUR"): 1_000_000, ("licences", "EUR"): 101, ("tokyo", "JPY"): 777}
    assert len(statements) == 2 * 4
    aurora = [each for each in statements if each.publisher_id == "aurora"]
    assert [each.statement_id for each in aurora] == [
        "demo-2026-10-aurora-EUR-v1",
        "demo-2026-10-aurora-JPY-v1",
    ]
    euros, yen = aurora
    assert {row.pool_id for row in euros.lines} == {"answers", "licences"}
    assert {row.pool_id for row in yen.lines} == {"tokyo"}
    assert euros.amount_minor == 800_000 + 81  # 80.8 of 101, rounded up: the largest remainder
    assert yen.amount_minor == 622  # 621.6 of 777: its remainder of .6 is the largest
    assert len({row.line_id for each in statements for row in each.lines}) == sum(
        len(each.lines) for each in statements
    )


def test_the_order_of_the_inputs_changes_no_byte() -> None:
    mixed = [replace(publisher, lines=publisher.lines[::-1]) for publisher in reversed(HOLDERS)]
    shuffled = replace(FACTS, pools=SEVERAL[::-1])
    one, other = (
        build_statements(replace(FACTS, pools=SEVERAL), HOLDERS),
        build_statements(shuffled, mixed),
    )
    assert build_statements(FACTS, mixed) == build_statements(FACTS, HOLDERS)
    assert [each.amount_minor for each in one] == [each.amount_minor for each in other]


def test_signed_attribution_stays_when_nothing_is_paid() -> None:
    blog = by_publisher(build_statements(FACTS, HOLDERS))["aurora"].lines[-1]
    assert (blog.attribution_signed_nats, blog.attribution_payable_nats, blog.amount_minor) == (
        "-0.75",
        "0",
        0,
    )


def test_the_range_of_amounts_is_what_both_ends_of_the_share_are_paid() -> None:
    """Borealis has 8 of 50 nats, from 4.9375 of 46.9375 to 11.0625 of 53.0625; Cassini at best 0.25 of 50.25."""
    found = {name: each.interval for name, each in by_publisher(build_statements(FACTS, UNSURE)).items()}
    assert found["borealis"].share_low == "0.105193076"
    assert found["borealis"].amount_low_minor == round(1_000_000 * F("4.9375") / F("46.9375"))
    assert found["borealis"].amount_high_minor == round(1_000_000 * F("11.0625") / F("53.0625"))
    assert (found["cassini"].share_low, found["cassini"].amount_low_minor) == ("0", 0)
    assert found["cassini"].amount_high_minor == round(250_000 / F("50.25"))


def test_a_blend_moves_its_part_by_value_alone() -> None:
    """Half of 10,000.00 goes by value, half in four equal parts of 1,250.00."""
    policy = Policy("half", basis="blend", blend={"attribution": F(1, 2), "equal": F(1, 2)})
    made = build_statements(replace(FACTS, policy=policy), UNSURE)
    check_period(made)
    assert not list(statement_problems(made[0]))
    borealis = by_publisher(made)["borealis"]
    low, high = (F(end or "") for end in (borealis.interval.share_low, borealis.interval.share_high))
    assert borealis.amount_minor == 80_000 + 125_000
    assert borealis.interval.amount_low_minor == round(500_000 * low) + 125_000
    assert borealis.interval.amount_high_minor == round(500_000 * high) + 125_000


def test_a_single_publisher_is_sure_of_the_pool() -> None:
    [only] = build_statements(FACTS, with_share_ends([HOLDERS[0]]))
    assert only.interval.amount_low_minor == only.interval.amount_high_minor == 1_000_000


@pytest.mark.parametrize("policy", [NOISE, Policy("c", cap=F(1, 2)), Policy("f", floor=F(1, 100))])
def test_limits_leave_the_range_of_the_share_alone(policy: Policy) -> None:
    for each in build_statements(replace(FACTS, policy=policy), UNSURE):
        assert each.interval.share_low is not None and each.interval.amount_low is None
        assert not list(statement_problems(each))


def test_no_range_of_shares_is_claimed_where_no_money_goes_by_value() -> None:
    tokens = replace(FACTS, policy=Policy("t", basis="token_count"))
    of_nothing = build_statements(FACTS, with_share_ends(four_publishers(BELOW_ZERO)))
    for each in [*build_statements(tokens, UNSURE), *of_nothing, *build_statements(FACTS, HOLDERS)]:
        assert each.interval.share_low is None and each.interval.amount_low is None
        assert not list(statement_problems(each))


def test_what_nobody_earns_by_value_is_a_line_of_its_own() -> None:
    """Nobody is above zero: tokens decide, 110,800 of 133,184 are Aurora's, and its sources are paid by tokens."""
    statements = build_statements(FACTS, four_publishers(BELOW_ZERO))
    aurora = by_publisher(statements)["aurora"]
    assert aurora.pools[0].allocation_basis == "token_count"
    assert (aurora.parts.attributed, F(aurora.parts.unattributed)) == ("0", F(110_800, 133_184))
    assert aurora.pools[0].unattributed_minor == 1_000_000
    *sources, last = aurora.lines
    assert (last.line_type, last.source_id, last.amount_minor) == (
        "unattributed",
        None,
        aurora.amount_minor,
    )
    assert {row.amount_minor for row in sources} == {0}
    check_period(statements)


def test_a_noise_floor_shows_attributed_and_unattributed_apart() -> None:
    """Wide intervals: Borealis' 8 of 50 nats cannot be told from zero, so 4/25 are divided by tokens."""
    wide = [
        replace(each, ci_low_nats=Decimal(-1)) if each.publisher_id == "borealis" else each for each in HOLDERS
    ]
    aurora = by_publisher(build_statements(replace(FACTS, policy=NOISE), wide))["aurora"]
    assert aurora.parts.attributed == "4/5"
    assert F(aurora.parts.unattributed) == F(4, 25) * F(110_800, 133_184)
    amounts = {row.source_id: row.amount_minor for row in aurora.lines}
    assert abs(amounts[None] - 1_000_000 * F(aurora.parts.unattributed)) < 1
    assert abs(amounts["aurora-docs"] - 600_000) < 1
    assert sum(F(row.share) for row in aurora.lines) == F(aurora.share)


def test_a_cap_and_a_floor_scale_every_line() -> None:
    policy = Policy("bounded", cap=F(1, 2), floor=F(1, 10))
    statements = by_publisher(build_statements(replace(FACTS, policy=policy), HOLDERS))
    aurora, dahlia = statements["aurora"], statements["dahlia"]
    assert (aurora.share, aurora.parts.moved) == ("1/2", "-3/10")
    assert (dahlia.share, dahlia.parts.moved) == ("1/10", "3/50")
    assert [row.amount_minor for row in aurora.lines] == [375_000, 125_000, 0]
    assert [F(row.share) for row in aurora.lines] == [F(3, 8), F(1, 8), 0]
    check_period(list(statements.values()))


@pytest.mark.parametrize("odd", ["unattributed", ":unattributed", "a:b", " ", "é\u202e", "None"])
def test_any_source_id_is_told_from_the_unattributed_line(odd: str) -> None:
    policy = Policy("careful", noise_floor=True)
    other = replace(HOLDERS[1], ci_low_nats=Decimal(-1))
    own = replace(single((odd, "3", 10), ("plain", "1", 10)), ci_low_nats=Decimal(1))
    statement = by_publisher(build_statements(replace(FACTS, policy=policy), [own, other]))["one"]
    assert len({row.line_id for row in statement.lines}) == len(statement.lines) == 3
    by_source = {row.source_id: row.amount_minor for row in statement.lines}
    assert abs(by_source[odd] - 3 * by_source["plain"]) <= 2
    assert sum(by_source.values()) == statement.amount_minor


def test_without_tokens_and_values_sources_share_alike() -> None:
    [statement] = build_statements(FACTS, [single(("a", "0", 0), ("b", "-1", 0))])
    assert statement.pools[0].allocation_basis == "equal"
    assert [row.amount_minor for row in statement.lines] == [0, 0, 1_000_000]


def test_tokens_as_the_basis_pay_sources_by_tokens() -> None:
    facts = replace(FACTS, policy=Policy("t", basis="token_count"))
    [statement] = build_statements(facts, [single(("big", "-1", 300), ("small", "9", 100))])
    assert [(row.source_id, row.amount_minor) for row in statement.lines] == [
        ("big", 750_000),
        ("small", 250_000),
    ]


def test_a_publisher_without_sources_takes_no_part_and_gets_a_statement_with_its_account() -> None:
    """Also under `equal`, where a share would need no source; its balance of before is paid."""
    equal = replace(FACTS, policy=Policy("e", basis="equal"))
    books = Books({}, {("zeta", "EUR"): AccountState(balance_minor=1_234)}, {})
    statements = build_statements(equal, [*HOLDERS, NOBODY], books)
    idle = by_publisher(statements)["zeta"]
    assert (idle.amount_minor, idle.lines, idle.share) == (0, (), "0")
    assert (idle.balance.opening_balance_minor, idle.balance.amount_paid_minor) == (1_234, 1_234)
    assert {each.share for name, each in by_publisher(statements).items() if name != "zeta"} == {"1/4"}
    check_period(statements)


def test_the_agreement_that_holds_is_the_one_on_the_statement() -> None:
    agreement = Agreement("aurora", "EUR", "special", rate=F(1, 3), threshold_minor=10**9)
    aurora = by_publisher(build_statements(FACTS, HOLDERS, Books({("aurora", "EUR"): agreement}, {}, {})))[
        "aurora"
    ]
    assert (aurora.agreement.agreement_id, aurora.agreement.rate) == ("special", "1/3")
    assert (aurora.balance.royalty_earned_minor, aurora.balance.closing_balance_minor) == (266_667,) * 2


def test_a_period_without_pools_or_payees_is_refused() -> None:
    with pytest.raises(MoneyError, match="A period has pools"):
        replace(FACTS, pools=())
    with pytest.raises(MoneyError, match="divided among publishers"):
        build_statements(FACTS, [NOBODY])
