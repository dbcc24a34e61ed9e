"""A forger with a key of its own: sums and signature hold, only what is recomputed from other fields does not."""

import copy
import hashlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from tests.golden.statement_cases import ABROAD, REASON
from tests.statements import EUROS, POLICY, RECOUNTED, settled, statements
from tests.unit.royalty.proof.forger import Plain, canonical, facts_of, forged_bundle, plain
from tribute.royalty.account.restatement import owed
from tribute.royalty.division.policy import DEFAULT_POLICY
from tribute.royalty.document import AccountState, StatementChange
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.proof.bundle import build_bundle
from tribute.royalty.proof.signing import new_key
from tribute.royalty.proof.verify import check_bundle, verify_bundle

PEM, _ = new_key()
HONEST = facts_of(statements()[0]).plain()
QUARTER = {"guarantee_minor": 900_000, "accounting_period": "quarter", "reserve_rate": Fraction(1, 10)}
TERMS = {
    "aurora": {**QUARTER, "reserve_months": 3, "withholding_rate": Fraction(3, 20)},
    "cassini-2": {"threshold_minor": 10**9, "advances": (("2026-12", 50_000),)},
}
OPENINGS = {
    ("aurora", "EUR"): AccountState(
        balance_minor=7, unrecouped_minor=0, reserves=(("2026-09", 40), ("2026-10", 50)), earned_minor=100
    ),
    ("cassini-2", "EUR"): AccountState(balance_minor=0, unrecouped_minor=10**7, reserves=(("2026-09", 800),)),
}
POOLS = (("EUR", "main", 2_000_001), ("EUR", "small", 2_003))


def issued(period: str = "2026-12") -> list[Plain]:
    """Aurora with a guarantee at the end of a quarter, Borealis without terms, Cassini with an advance."""
    return plain(statements(period, pools=POOLS, agreements=TERMS, openings=OPENINGS))


def found(forged: list[Plain]) -> dict[str, str]:
    """The problems of the bundle that a forger signs, by place."""
    facts = HONEST | {"policy": forged[0]["policy"], "period": forged[0]["period"]}
    content = canonical(forged_bundle(facts, forged, PEM))
    return {each.place: each.message for each in verify_bundle(content)}


def accounted(statement: Plain, paid: bool = True, **changes: Any) -> None:
    """Change lines of an account, and whatever follows from them by addition."""
    b = statement["balance"]
    b |= changes
    b["payable_before_tax_minor"] = due = (
        b["opening_balance_minor"] + b["royalty_earned_minor"] + b["prior_period_adjustment_minor"]
        - b["advance_recouped_minor"] + b["minimum_guarantee_shortfall_minor"]
        - b["reserve_held_minor"] + b["reserve_released_minor"]
    )  # fmt: skip
    tax = round(due * Fraction(b["withholding_tax_rate"])) if paid else 0
    b |= {"withholding_tax_minor": tax, "amount_paid_minor": due - tax if paid else 0}
    closing = 0 if paid else due
    b |= {"carried_forward_minor": closing, "closing_balance_minor": closing}
    b["account"] = b["account"] | {"balance_minor": closing}


def test_honest_statements_hold() -> None:
    assert found(issued()) == {}
    assert found(issued("2026-11")) == {}
    aurora = issued()[1]["balance"]
    assert aurora["minimum_guarantee_shortfall_minor"] > 0
    assert aurora["reserve_held_minor"] > 0


def test_the_golden_months_hold() -> None:
    november = settled("2026-11")
    again = settled("2026-11", values=RECOUNTED, version=2)
    moved = owed([(each, REASON) for each in november + again], "2026-12")
    december = settled("2026-12", november, moved)
    for month in (november, again, december, settled("2026-11", pools=ABROAD), settled("2027-01", december)):
        assert check_bundle(build_bundle(facts_of(month[0]), month, PEM)) == []
    assert any(line["line_type"] == "source" for line in plain(november)[0]["lines"])
    assert plain(december)[1]["balance"]["adjustments"][0]["running"] is True
    assert EUROS[0].pool_id == "answers"


def move_between_lines(statement: Plain) -> None:
    for line, minor in zip(statement["lines"], (5, -5), strict=False):
        line["amount_minor"] += minor
        whole, cents = divmod(line["amount_minor"], 100)
        line["amount"] = f"{whole:,}.{cents:02d} EUR"


def move_between_shares(statement: Plain) -> None:
    """The shares of two lines, in both pools, keeping their sum; the amounts follow."""
    for line in statement["lines"]:
        if line["source_id"] in ("source-0", "source-1"):
            line["share"] = str(Fraction(line["share"]) * (2 if line["source_id"] == "source-0" else 0))
    for first, second in ((0, 1), (3, 4)):
        both = [statement["lines"][first], statement["lines"][second]]
        both[0]["amount_minor"] += both[1]["amount_minor"]
        both[1]["amount_minor"] = 0
        for line in both:
            whole, cents = divmod(line["amount_minor"], 100)
            line["amount"] = f"{whole:,}.{cents:02d} EUR"


def set_line(index: int, **changes: Any) -> Callable[[Plain], None]:
    return lambda statement: statement["lines"][index].update(changes)


CERTIFICATE = {"certificate_id": "c", "sha256": "ab" * 32, "misallocated_pool": "0.1", "coverage_95": "0.9"}
CHANGE = dict.fromkeys(StatementChange.model_fields, 0)
FORGERIES: list[tuple[int, Callable[[Plain], object], str]] = [
    (0, move_between_lines, "lines[0].amount_minor"),
    (0, move_between_shares, "lines[0].share"),
    (0, set_line(0, share="1/7"), "lines"),
    (0, set_line(0, share="1/7"), "lines[0].share"),
    (0, set_line(2, share="-1"), "lines[2].share"),
    (0, set_line(0, value_nats="3"), "lines[0].attribution_payable_nats"),
    (0, set_line(0, value_nats="3", attribution_payable_nats="3"), "lines[0].share"),
    (0, set_line(0, attribution_payable_nats="-1.5"), "lines[0].attribution_payable_nats"),
    (0, set_line(0, value_nats=None), "lines[0].value_nats"),
    (0, set_line(0, value_nats="4", attribution_payable_nats="4"), "value_nats"),
    (0, set_line(0, attribution_signed_nats="-5"), "attribution_signed_nats"),
    (0, set_line(0, attribution_signed_nats="-5"), "lines[3].attribution_signed_nats"),
    (0, set_line(3, title="Another"), "lines[3].title"),
    (0, set_line(3, source_id="source-9"), "lines"),
    (0, set_line(0, split="1/7"), "lines[0].split"),
    (0, set_line(0, split="8/7"), "lines[0].split"),
    (0, set_line(0, split="half"), "lines[0].split"),
    (2, set_line(0, tokens=7), "lines[0].tokens"),
    (2, set_line(0, tokens=-7), "lines[0].tokens"),
    (2, set_line(0, ci_low_nats="0"), "lines[0].ci_low_nats"),
    (0, set_line(0, ci_low_nats="999"), "lines[0].ci_low_nats"),
    (0, set_line(0, usage_count=-1), "lines[0].usage_count"),
    (0, set_line(0, line_id="another"), "lines[0].line_id"),
    (0, set_line(0, terms="none"), "lines[0].terms"),
    (0, set_line(2, tokens=1), "lines[2].tokens"),
    (0, set_line(2, line_type="gift"), "lines[2].line_type"),
    (0, lambda s: s.update(value_nats="1", attribution_payable_nats="1"), "value_nats"),
    (0, lambda s: s.update(attribution_signed_nats="1"), "attribution_signed_nats"),
    (0, lambda s: s.update(statement_id="demo-2026-12-A"), "statement_id"),
    (0, lambda s: s.update(statement_version=77), "statement_id"),
    (1, lambda s: s.update(statement_version=77), "statement_version"),
    (0, lambda s: s.update(statement_version=0), "statement_version"),
    (0, lambda s: s.update(restates_statement_version=1), "restates_statement_version"),
    (0, lambda s: s.update(supersedes_statement_id="demo-v0"), "supersedes_statement_id"),
    (0, lambda s: s.update(period_start="2020-01-01"), "period_start"),
    (0, lambda s: s.update(period_end="2026-12-30"), "period_end"),
    (0, lambda s: s.update(shrinkage="banana"), "shrinkage"),
    (0, lambda s: s.update(shrinkage="1.5"), "shrinkage"),
    (1, lambda s: s.update(shrinkage="0.5"), "shrinkage"),
    (1, lambda s: s.update(train_run="another"), "train_run"),
    (1, lambda s: s.update(quality_certificate=CERTIFICATE), "quality_certificate"),
    (0, lambda s: s.update(use_type="copying"), "use_type"),
    (0, lambda s: s.update(usage_count=-1), "usage_count"),
    (0, lambda s: s["interval"].update(value_nats="7"), "interval.value_nats"),
    (0, lambda s: s["interval"].update(ci_low_nats="999"), "interval.ci_low_nats"),
    (0, lambda s: s["interval"].update(ci_low_nats="low"), "interval.ci_low_nats"),
    (0, lambda s: s["interval"].update(confidence="0.99"), "interval.confidence"),
    (0, lambda s: s["interval"].update(amount_low_minor=1), "interval"),
    (2, lambda s: s["interval"].update(ci_low_nats="1"), "parts.attributed"),
    (0, lambda s: s["interval"].update(ci_low_nats="-1"), "parts.attributed"),
    (0, lambda s: s["agreement"].update(threshold_minor=-1), "agreement.threshold_minor"),
    (0, lambda s: s["agreement"].update(guarantee_minor=-1), "agreement.guarantee_minor"),
    (0, lambda s: s["agreement"].update(reserve_months=-3), "agreement.reserve_months"),
    (1, lambda s: s["agreement"].update(reserve_months=0), "agreement.reserve_months"),
    (0, lambda s: s["agreement"].update(rate="-1/2"), "agreement.rate"),
    (0, lambda s: s["agreement"].update(withholding_rate="5/4"), "agreement.withholding_rate"),
    (0, lambda s: s["pools"][0].update(royalty_rate="3/2"), "pools[0].royalty_rate"),
    (0, lambda s: s["pools"][0].update(gross_revenue_minor=-1), "pools[0].gross_revenue_minor"),
    (0, lambda s: s["pools"][0].update(allocation_basis="mood"), "pools[0].allocation_basis"),
    (0, lambda s: s["pools"][0].update(allocation_basis="equal"), "pools[0].allocation_basis"),
    (0, lambda s: s["policy"].pop("cap"), "policy.cap"),
    (0, lambda s: s["policy"].update(cap="1/0"), "policy.cap"),
    (0, set_line(1, source_id="source-0"), "lines"),
    (0, set_line(2, source_id="source-9"), "lines[2].source_id"),
    (0, lambda s: s.update(attribution_payable_nats="0"), "attribution_payable_nats"),
    (0, lambda s: s.update(payable_nats="50"), "payable_nats"),
    (0, lambda s: accounted(s, paid=False), "balance.amount_paid_minor"),
    (2, lambda s: accounted(s, paid=True), "balance.amount_paid_minor"),
    (1, lambda s: accounted(s, minimum_guarantee_shortfall_minor=0),
     "balance.minimum_guarantee_shortfall_minor"),
    (0, lambda s: accounted(s, minimum_guarantee_shortfall_minor=9),
     "balance.minimum_guarantee_shortfall_minor"),
    (0, lambda s: s["balance"].update(accounting_period_earned_minor=10**6),
     "balance.accounting_period_earned_minor"),
    (1, lambda s: s["balance"].update(accounting_period_earned_minor=1),
     "balance.accounting_period_earned_minor"),
    (1, lambda s: s["balance"]["account"].update(earned_minor=3), "balance.account.earned_minor"),
    (1, lambda s: accounted(s, reserve_held_minor=0), "balance.reserve_held_minor"),
    (0, lambda s: accounted(s, reserve_held_minor=1), "balance.reserve_held_minor"),
    (1, lambda s: s["balance"]["account"]["reserves"].pop(), "balance.account.reserves"),
    (1, lambda s: s["balance"]["account"]["reserves"].insert(0, ["2026-09", 40]), "balance.account.reserves[0]"),
    (1, lambda s: s["balance"]["account"]["reserves"].insert(0, ["2026-11", 0]), "balance.account.reserves[0]"),
    (1, lambda s: s["balance"]["account"]["reserves"].reverse(), "balance.account.reserves[1]"),
    (1, lambda s: s["balance"]["account"]["reserves"].append(["2026-13", 1]), "balance.account.reserves[2][0]"),
    (1, lambda s: s["balance"]["account"]["reserves"].append(["2026-12"]), "balance.account.reserves[2][1]"),
    (2, lambda s: accounted(s, False, advance_recouped_minor=0), "balance.advance_recouped_minor"),
    (1, lambda s: s["agreement"].update(accounting_period="decade"), "agreement.accounting_period"),
    (0, lambda s: s.update(change=CHANGE | {"before_minor": s["amount_minor"]}), "change"),
    (0, lambda s: s.update(change=CHANGE, statement_version=2, restates_statement_version=1), "change"),
    (0, lambda s: s.update(change=CHANGE | {"usage_minor": "1"}), "change.usage_minor"),
]  # fmt: skip


@pytest.mark.parametrize(("which", "forge", "place"), FORGERIES)
def test_a_forged_field_is_named(which: int, forge: Callable[[Plain], object], place: str) -> None:
    """Statements are sorted by id: Borealis, Aurora, Cassini."""
    forged = copy.deepcopy(issued())
    forge(forged[which])
    assert f"statements[{which}].{place}" in found(forged)


LONG = f"1/{10**3998 + 1}"
"""A weight; with another one of so many digits its sum is more than Python tells."""


def rehashed(**changes: Any) -> list[Plain]:
    """All statements with a policy that says something else, under its right hash."""
    forged = issued()
    for statement in forged:
        fields = {name: value for name, value in {**statement["policy"], **changes}.items() if name != "sha256"}
        statement["policy"] = fields | {"sha256": hashlib.sha256(canonical_json(fields)).hexdigest()}
    return forged


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"text": "Paid by mood."}, "policy.text"),
        ({"basis": "equal"}, "policy"),
        ({"cap": "2"}, "policy"),
        ({"noise_floor": False}, "policy.text"),
        ({"blend": {"equal": "1"}}, "policy"),
        ({"blend": {"equal": []}}, "policy.blend.equal"),
        ({"basis": "blend", "blend": {"equal": LONG, "attribution": f"{LONG}3"}}, "policy"),
    ],
)
def test_a_forged_policy_is_named(changes: dict[str, Any], place: str) -> None:
    wrong = found(rehashed(**changes))
    assert {f"statements[0].{place}", place} <= set(wrong)


def test_the_amounts_of_an_interval_are_recomputed() -> None:
    honest = plain(statements(pools=POOLS, policy=DEFAULT_POLICY))
    assert found(honest) == {}
    assert honest[0]["interval"]["amount_low_minor"] < honest[0]["amount_minor"]
    for name in ("amount_low_minor", "amount_high_minor"):
        forged = copy.deepcopy(honest)
        forged[0]["interval"][name] += 1
        assert f"statements[0].interval.{name}" in found(forged)
        del forged[0]["interval"][name]
        assert list(found(forged)) == [f"statements[0].interval.{name}"]
    honest[0]["interval"]["amount_low"] = "0.01 EUR"
    assert list(found(honest)) == ["statements[0].interval.amount_low"]


def test_the_shares_of_an_interval_are_from_0_to_1_and_go_with_its_amounts() -> None:
    honest = plain(statements(pools=POOLS, policy=DEFAULT_POLICY))
    ends = honest[0]["interval"]["share_low"], honest[0]["interval"]["share_high"]
    for low, high in (ends[::-1], ("-0.1", ends[1]), (ends[0], "1.1"), (None, ends[1]), (ends[0], None)):
        forged = copy.deepcopy(honest)
        named = {"share_low": low, "share_high": high}
        forged[0]["interval"] |= {name: end for name, end in named.items() if end is not None}
        for name in (name for name, end in named.items() if end is None):
            del forged[0]["interval"][name]
        assert list(found(forged)) == ["statements[0].interval.share_low"]
    for name in [name for name in honest[0]["interval"] if name.startswith("amount")]:
        del honest[0]["interval"][name]
    assert list(found(honest)) == ["statements[0].interval.amount_low_minor"]


def test_a_statement_of_an_earlier_release_has_amounts_without_shares() -> None:
    """Its amounts are of its own value at either end, and of the others as they are: so are these shares."""
    old = plain(statements(pools=POOLS, policy=DEFAULT_POLICY))
    for statement in old:
        del statement["interval"]["share_low"], statement["interval"]["share_high"]
    assert found(old) == {}
    old[0]["interval"]["amount_low_minor"] -= 1
    assert list(found(old)) == ["statements[0].interval.amount_low_minor", "statements[0].interval.amount_low"]


@pytest.mark.parametrize("period", ["0000-01", "9999-12", "0001-01"])
def test_months_at_the_ends_of_the_calendar_are_findings(period: str) -> None:
    forged = issued()
    for statement in forged:
        statement["period"] = period
    assert "statements[0].period_start" in found(forged)


@pytest.mark.parametrize("minor", [0, 10**6])
def test_a_forged_unattributed_part_of_a_pool_is_named(minor: int) -> None:
    """On all statements alike, so that they agree."""
    forged = issued()
    for statement in forged:
        statement["pools"][0]["unattributed_minor"] = minor
    assert list(found(forged)) == ["statements[0].pools[0].unattributed_minor"]


def test_the_unattributed_parts_of_all_statements_decide() -> None:
    """A statement with a larger unattributed part and a smaller attributed part than the true ones."""
    forged = issued()
    share = Fraction(forged[0]["share"])
    forged[0]["parts"] = {"attributed": str(share / 2), "unattributed": str(share / 2), "moved": "0"}
    assert "statements[0].pools[0].unattributed_minor" in found(forged)


def test_the_forgeries_are_of_statements_in_this_order() -> None:
    assert [each["publisher_id"] for each in issued()] == ["Borealis & Söhne", "aurora", "cassini-2"]
    assert issued()[0]["policy"] == POLICY
