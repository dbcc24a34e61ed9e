"""Rights, agreements, terms, fees, pools, policy, alarms: each refused before anything runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import SOURCES_CSV
from tests.unit.jobs.checks.checking import MONTH, spoiled, subject
from tribute.errors import TributeError
from tribute_jobs.checks import Passed, money
from tribute_jobs.checks.subject import Subject
from tribute_jobs.period.terms import register_policy
from tribute_storage import Lake

AGREED = {"sources": "sources.csv", "agreements": "agreements.csv"}
DOUBLED = "publisher_id,currency,agreement_id,rate\nplanet,EUR,one,1\nplanet,EUR,two,1\n"
CASES: dict[str, tuple[Callable[[Subject], Passed | None], dict[str, str], dict, str]] = {
    "a source without a right": (
        money.check_rights,
        {"sources.csv": SOURCES_CSV.replace("sports,arena,1,,\n", "")},
        {},
        "sports",
    ),
    "a right that ended": (
        money.check_rights,
        {"sources.csv": SOURCES_CSV.replace("daily,planet,1,,", "daily,planet,1,,2026-10-15")},
        {},
        "daily",
    ),
    "a misspelt column": (
        money.check_rights,
        {"sources.csv": SOURCES_CSV.replace("valid_to", "valid_until")},
        {},
        "Did you mean valid_to?",
    ),
    "no file of rights": (money.check_rights, {}, {"rights": {"sources": "none.csv"}}, "none.csv does not exist"),
    "agreements": (
        money.check_agreements,
        {"agreements.csv": "publisher_id,currency,rate\nplanet,EUR,2\n"},
        {"rights": AGREED},
        "agreements.csv",
    ),
    "two agreements in force": (
        money.check_agreements,
        {"agreements.csv": DOUBLED},
        {"rights": AGREED},
        "planet has another agreement in EUR at the same time (line 2)",
    ),
    "an agreement with nobody": (
        money.check_division,
        {"agreements.csv": "publisher_id,currency,rate\nplanett,EUR,1\n"},
        {"rights": AGREED},
        "planett",
    ),
    "terms": (
        money.check_terms,
        {"terms.csv": "source_id,licence\ndaily,MIT\n"},
        {"rights": {"sources": "sources.csv", "terms": "terms.csv"}},
        "Did you mean license?",
    ),
    "fees": (
        money.check_fees,
        {"fees.csv": "customer_id,fee\na,1e3\n"},
        {"money": {"fees": "fees.csv"}},
        "fees.csv, line 2",
    ),
    "no fees for user_centric": (
        money.check_policy,
        {},
        {"policy": {"basis": "user_centric"}},
        "money.fees names no file",
    ),
    "a currency": (money.check_pools, {}, {"pool": {"amount": "1", "currency": "EUX"}}, "EUX"),
    "deductions": (
        money.check_pools,
        {},
        {"pool": {"amount": "1", "deductions": {"fees": "2"}}},
        "Deduct at most the revenue",
    ),
    "two pools of one name": (
        money.check_division,
        {},
        {"pools": [{"id": "a", "amount": "1"}, {"id": "a", "amount": "2"}]},
        "each with an id of its own",
    ),
    "a policy": (money.check_policy, {}, {"policy": {"basis": "atribution"}}, "policy.basis 'atribution'"),
    "a cap that pays nobody": (money.check_division, {}, {"policy": {"cap": "1/4"}}, "policy.cap 1/4"),
    "alarms": (money.check_alarms, {}, {"money": {"alarms": {"jmp": "1/4"}}}, "money.alarms.jmp is unknown"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_in_what_is_paid_is_named(tmp_path: Path, name: str) -> None:
    check, files, sections, said = CASES[name]
    project = spoiled(tmp_path, files, **sections)
    with pytest.raises(TributeError) as raised:
        check(subject(project))
    assert said in str(raised.value)


def test_rights_of_a_month_are_needed_where_it_is_paid(tmp_path: Path) -> None:
    project = spoiled(tmp_path, {"sources.csv": SOURCES_CSV.replace("sports,arena,1,,\n", "")})
    for month, last in ((None, "settle"), (MONTH, "attribute")):
        seen = money.check_rights(subject(project, month, last))
        assert seen is not None and seen.text == "3 publishers of 3 sources"


def test_the_settlement_is_rehearsed_for_every_publisher_and_currency(tmp_path: Path) -> None:
    pools = [{"id": "a", "amount": "1"}, {"id": "b", "amount": "2", "currency": "USD"}]
    rehearsed = money.check_division(subject(spoiled(tmp_path, pools=pools)))
    assert rehearsed is not None and rehearsed.text == f"6 statements for {MONTH}"


def test_a_floor_that_the_values_decide_on_is_left_to_them(tmp_path: Path) -> None:
    assert money.check_division(subject(spoiled(tmp_path, policy={"floor": "0.4"}))) is not None


def test_another_policy_than_the_registered_one_is_refused(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    assert register_policy(project, Lake(project.lake_root), MONTH)
    assert money.check_policy(subject(project)) is not None
    other = project.model_copy(update={"policy": {"basis": "equal"}})
    with pytest.raises(TributeError, match=f"Period {MONTH} is registered under policy"):
        money.check_policy(subject(other))
    assert money.check_policy(subject(other, None)) is not None
