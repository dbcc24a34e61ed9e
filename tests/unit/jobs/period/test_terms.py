"""Customers' fees and pools: as written, or refused by line."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from tests.projects import settings
from tribute.config import Project, load_project
from tribute.errors import MoneyError, PolicyError
from tribute.royalty.division import DEFAULT_POLICY, policy_json
from tribute.royalty.exact import canonical_json
from tribute_jobs.period.terms import customer_fees, period_pools, registered_policy
from tribute_storage import SCHEMAS, Lake


def project(folder: Path, fees: str, **sections: object) -> Project:
    (folder / "fees.csv").write_text(fees)
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings(money={"fees": "fees.csv"}, **sections)))
    return load_project(path)


def test_fees_are_exact(tmp_path: Path) -> None:
    fees = "customer_id,fee,note\n007,19.90,\nno,0010,late\n"
    assert customer_fees(project(tmp_path, fees)) == {"007": Fraction(199, 10), "no": Fraction(10)}


@pytest.mark.parametrize(
    ("fees", "told"),
    [
        ("customer_id,fee\na,1e3\n", "line 2, '1e3' is not a number"),
        ("customer_id,fee\na,1_000\n", "line 2, '1_000' is not a number"),
        ('customer_id,fee\na,"1,000"\n', "line 2, '1,000' is not a number"),
        ("customer_id,fee\na,-5\n", "line 2, '-5' is not a number"),
        ("customer_id,fee\na,NaN\n", "line 2, 'NaN' is not a number"),
        ("customer_id,fee\na,1/3\n", "line 2, column fee: '1/3' is not an amount such as 19.90"),
        (f"customer_id,fee\na,1e{'9' * 20}\n", "is not a number"),
        (f"customer_id,fee\na,{'9' * 5000}\n", "is not a number"),
        ("customer_id,fee\na,\n", "line 2, column fee is empty"),
        ("customer_id,fee\na\n", "line 2: 1 cells for 2 columns"),
        ("customer_id,fee\na,1,000\n", "line 2: 3 cells for 2 columns"),
        ("customer_id,fee\na,1\na,2\n", "line 3 repeats customer a. Add its fees up"),
        ("customer,fee\na,1\n", "unknown column customer. Did you mean customer_id?"),
    ],
)
def test_bad_fees_are_refused_by_line(tmp_path: Path, fees: str, told: str) -> None:
    with pytest.raises(MoneyError) as raised:
        customer_fees(project(tmp_path, fees))
    assert "fees.csv" in str(raised.value)
    assert told in str(raised.value)


def test_a_rate_is_exact_or_refused(tmp_path: Path) -> None:
    [pool] = period_pools(project(tmp_path, "", pool={"amount": "0012.50", "rate": "1/3"}))
    assert (pool.gross_minor, pool.rate) == (1250, Fraction(1, 3))
    for rate, told in (("1/0", "rate: '1/0' is not a number"), ("2", "the rate 2 is not from 0 to 1")):
        with pytest.raises(MoneyError, match=told):
            period_pools(project(tmp_path, "", pool={"amount": "1", "rate": rate}))


def test_a_month_that_is_registered_in_earlier_words_is_told_how_to_go_on(tmp_path: Path) -> None:
    """The same rule, as version 2 of the default worded it; another rule is another rule."""
    open_month = project(tmp_path, "customer_id,fee\n")
    lake = Lake(open_month.lake_root)
    earlier = policy_json(replace(DEFAULT_POLICY, version="2")) | {"text": DEFAULT_POLICY.wordings[1]}
    row = {"run_id": "policy-1", "period": "2026-10", "name": earlier["name"], "version": "2", "reason": ""}
    row |= {"sha256": 64 * "a", "json": canonical_json(earlier).decode()}
    lake.append("policies", "policy-1", pa.Table.from_pylist([row], SCHEMAS["policies"]))
    with pytest.raises(
        PolicyError, match="in the words of another release: this one writes the same rule as version 3"
    ):
        registered_policy(open_month, lake, "2026-10")
    other = open_month.model_copy(update={"policy": {"basis": "equal"}})
    with pytest.raises(PolicyError, match="Put the old one back"):
        registered_policy(other, lake, "2026-10")
    assert registered_policy(open_month, lake, "2026-10", "New words") == (DEFAULT_POLICY, False)
