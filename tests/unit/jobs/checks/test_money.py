"""Rights, agreements, terms, fees, pools, policy, alarms: each refused before anything runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import SOURCES_CSV
from tests.statements import statements
from tests.unit.jobs.checks.checking import MONTH, spoiled, subject
from tests.unit.storage.outbox.uses import RUN, Use, submission
from tribute.config import Project
from tribute.errors import BusyError, ConfigError, TributeError
from tribute.royalty.proof import new_key
from tribute.serving.writing.writer import outbox_file
from tribute_jobs.checks import Passed, money
from tribute_jobs.checks.subject import Subject
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version
from tribute_jobs.period.terms import register_policy
from tribute_storage import Lake, LakeDamaged
from tribute_storage.outbox import Outbox

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
    "a publisher to be precise about": (
        money.check_rights,
        {},
        {"valuation": {"publisher": "arean"}},
        "valuation.publisher is 'arean', who is paid for no source. Publishers: arena, kitchen, planet",
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
    "a key that is none": (
        money.check_key,
        {"key.pem": "secret"},
        {"money": {"signing_key": "key.pem"}},
        "key.pem cannot be used. This is not a private key in PEM",
    ),
    "a folder as key": (
        money.check_key,
        {"keys/key.pem": "secret"},
        {"money": {"signing_key": "keys"}},
        "keys is not a file of text",
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


def test_two_pools_of_one_id_are_refused_with_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\n  pools has two pools of one id: a, a. Give each an id of its own"):
        spoiled(tmp_path, pools=[{"id": "a", "amount": "1"}, {"id": "a", "amount": "2"}])


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
    passed = money.check_division(subject(spoiled(tmp_path, policy={"floor": "0.4"})))
    assert passed is not None
    assert [
        "policy.floor 2/5 can be paid to 2 publishers, and there are 3" in each for each in passed.warnings
    ] == [True]


@pytest.mark.parametrize(
    ("row", "applies"),
    [
        ("planet,EUR,0.5,,", True),
        ("planet,USD,0.5,,", False),
        ("planet,EUR,0.5,,2026-10-01", False),
        ("planet,EUR,0.5,2026-11-01,", False),
    ],
)
def test_an_agreement_that_does_not_apply_is_said(tmp_path: Path, row: str, applies: bool) -> None:
    table = f"publisher_id,currency,rate,valid_from,valid_to\n{row}\n"
    passed = money.check_agreements(subject(spoiled(tmp_path, {"agreements.csv": table}, rights=AGREED)))
    assert passed is not None
    said = f"No agreement of planet holds in {MONTH} in EUR: what they earn is paid in full"
    assert [each.startswith(said) for each in passed.warnings] == [True] * (not applies)


@pytest.mark.parametrize("basis", ["user_centric", "attribution"])
def test_customers_without_a_fee_are_said_where_fees_are_divided(tmp_path: Path, basis: str) -> None:
    fees = {"fees.csv": "customer_id,fee\ncustomer-0,5.00\n"}
    project = spoiled(tmp_path, fees, policy={"basis": basis}, money={"fees": "fees.csv"})
    passed = money.check_fees(subject(project))
    assert passed is not None and passed.text == "fees of 1 customers"
    said = [each.split(". ")[0] for each in passed.warnings]
    warning = f"6 of 12 uses in {MONTH} are by customers without a fee, which decide nothing: customer-1"
    assert said == ([warning] if basis == "user_centric" else [])


def test_a_key_is_read_before_it_is_needed(tmp_path: Path) -> None:
    assert money.check_key(subject(spoiled(tmp_path))) is None
    project = spoiled(tmp_path, money={"signing_key": "key.pem"})
    made = money.check_key(subject(project))
    assert made is not None and made.text == "key.pem will be made at the first closing"
    assert not (tmp_path / "key.pem").exists()
    (tmp_path / "key.pem").write_text(new_key()[0])
    passed = money.check_key(subject(project))
    assert passed is not None and passed.text == "key.pem signs closed months"


def test_another_policy_than_the_registered_one_is_refused(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    assert register_policy(project, Lake(project.lake_root), MONTH)
    assert money.check_policy(subject(project)) is not None
    other = project.model_copy(update={"policy": {"basis": "equal"}})
    with pytest.raises(TributeError, match=f"Period {MONTH} is registered under policy"):
        money.check_policy(subject(other))
    assert money.check_policy(subject(other, None)) is not None


def recorded(project: Project, shard: int, *uses: Use) -> None:
    """Uses that wait in an outbox."""
    outbox = Outbox(outbox_file(project, shard), RUN)
    outbox.record([submission(uses)])
    outbox.close()


@pytest.mark.parametrize("last", ["close", "restate"])
def test_a_month_becomes_final_only_with_all_of_its_uses_in_the_lake(tmp_path: Path, last: str) -> None:
    project = spoiled(tmp_path)
    assert money.check_uses(subject(project, last=last)) is None
    recorded(project, 0, Use("a"), Use("b", period="2026-11"))
    recorded(project, 3, Use("c"))
    with pytest.raises(BusyError, match=f"2 recorded uses of {MONTH} are not in the lake yet.* tribute serve"):
        money.check_uses(subject(project, last=last))
    assert money.check_uses(subject(project, "2026-12", last)) is None


def test_what_is_not_in_the_lake_yet_is_said_before_a_month_is_settled(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    recorded(project, 0, Use("a"))
    passed = money.check_uses(subject(project))
    assert passed is not None and f"1 recorded uses of {MONTH}" in passed.warnings[0]
    assert money.check_uses(subject(project, None)) is None


def test_a_closed_month_is_completed_whatever_came_since(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    commit(Lake(project.lake_root), Settlement(Version("settle-1", tuple(statements(MONTH)))))
    recorded(project, 0, Use("a"))
    assert money.check_uses(subject(project, last="close")) is None


def test_an_outbox_that_cannot_be_read_keeps_a_month_open(tmp_path: Path) -> None:
    project = spoiled(tmp_path)
    recorded(project, 0, Use("a"))
    outbox_file(project, 0).write_bytes(b"no database" * 1000)
    with pytest.raises(LakeDamaged, match=r"outbox-0\.sqlite is damaged"):
        money.check_uses(subject(project, last="close"))
