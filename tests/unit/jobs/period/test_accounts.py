"""What a month inherits from the closed ones before it."""

from pathlib import Path

import pyarrow as pa

from tests.projects import write_project
from tests.unit.royalty.issued import statements
from tribute.config import Project, load_project
from tribute.royalty.exact import canonical_json
from tribute_jobs.period.accounts import read_books
from tribute_storage import SCHEMAS, Lake

PLAIN = (("EUR", "pool", 200),)


def issue(
    project: Project, period: str, version: int, earned: dict[str, int], carried: list[dict] | None = None,
    granted: int = 0,
) -> None:  # fmt: skip
    """Final statements of a version, which earn as said; `carried`: adjustments on the first of them."""
    rows = []
    for each in statements(period, tuple(earned), 1, PLAIN):
        each["statement_id"] = each["statement_id"].replace("-v1", f"-v{version}")
        each["statement_version"] = version
        each["restates_statement_version"] = version - 1 or None
        each["balance"]["advance_granted_minor"] = granted
        each["balance"]["royalty_earned_minor"] = earned[each["publisher_id"]]
        each["balance"]["adjustments"] = [c for c in carried or [] if c["to"] == each["publisher_id"]]
        each["balance"]["account"] = {"balance_minor": 0, "unrecouped_minor": 0, "reserves": [], "earned_minor": 0}
        row = {name: each.get(name) for name in SCHEMAS["statements"].names}
        row |= {"run_id": f"{period}-{version}", "status": "final", "reason": f"to version {version}"}
        row |= {"pool_minor": 100, "json": canonical_json(each).decode(), "sha256": "", "paid_minor": 0}
        rows.append(row)
    table = pa.Table.from_pylist(rows, SCHEMAS["statements"])
    assert Lake(project.lake_root).append("statements", f"{period}-{version}", table)


def owed(project: Project, period: str, known: str = "ab") -> dict[str, list[int]]:
    books = read_books(project, period, known, ["EUR"])
    return {key[0]: [each.amount_minor for each in moved] for key, moved in books.adjustments.items()}


def test_every_restatement_is_carried_once_even_of_a_publisher_that_came_later(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path))
    issue(project, "2026-01", 1, {"a": 100})
    assert owed(project, "2026-02") == {}
    issue(project, "2026-01", 2, {"a": 70, "b": 30})
    assert owed(project, "2026-02") == {"a": [-30], "b": [30]}
    books = read_books(project, "2026-02", "ab", ["EUR"])
    carried = [
        {
            "to": key[0],
            "reason": each.reason,
            "adjusts_statement_id": each.adjusts_statement_id,
            "amount_minor": each.amount_minor,
        }
        for key, moved in books.adjustments.items()
        for each in moved
    ]
    issue(project, "2026-02", 1, {"a": 0, "b": 0}, carried)
    assert owed(project, "2026-03") == {}
    issue(project, "2026-01", 3, {"a": 50, "b": 50})
    assert owed(project, "2026-03") == {"a": [-20], "b": [20]}


def test_an_advance_of_a_month_that_was_not_settled_is_granted_in_the_next(tmp_path: Path) -> None:
    path = write_project(tmp_path, rights={"sources": "sources.csv", "agreements": "agreements.csv"})
    (tmp_path / "agreements.csv").write_text(
        "publisher_id,currency,advance,advance_period\na,EUR,500.00,2026-03\n"
    )
    project = load_project(path)
    issue(project, "2026-02", 1, {"a": 10})
    granted = [
        read_books(project, month, "a", ["EUR"]).agreements["a", "EUR"].advances
        for month in ("2026-04", "2026-03")
    ]
    assert granted == [(("2026-04", 50_000),), (("2026-03", 50_000),)]
    issue(project, "2026-03", 1, {"a": 10}, granted=50_000)
    assert read_books(project, "2026-04", "a", ["EUR"]).agreements["a", "EUR"].advances == ()


def agreed(folder: Path, rows: str) -> Project:
    """A project with agreements of these rows."""
    folder.mkdir(exist_ok=True)
    path = write_project(folder, rights={"sources": "sources.csv", "agreements": "agreements.csv"})
    head = "publisher_id,currency,agreement_id,advance,advance_period,minimum_guarantee,valid_from,valid_to\n"
    (folder / "agreements.csv").write_text(head + rows)
    return load_project(path)


def advances(project: Project, period: str) -> tuple[tuple[str, int], ...]:
    return read_books(project, period, "a", ["EUR"]).agreements["a", "EUR"].advances


def test_an_advance_that_was_agreed_after_its_month_closed_is_granted_once(tmp_path: Path) -> None:
    """500.00 of January were granted; 70.00 more are agreed for January when February is closed."""
    project = agreed(tmp_path, "a,EUR,one,500.00,2026-01,,,\na,EUR,one,70.00,2025-12,,,\n")
    issue(project, "2026-01", 1, {"a": 10}, granted=50_000)
    issue(project, "2026-02", 1, {"a": 10})
    assert advances(project, "2026-03") == (("2026-03", 7_000),)
    issue(project, "2026-03", 1, {"a": 10}, granted=7_000)
    assert advances(project, "2026-04") == ()


def test_an_advance_of_a_later_agreement_does_not_set_off_one_that_was_granted(tmp_path: Path) -> None:
    """Also where the earlier agreement is no longer in the file; one that has ended still owes its advance."""
    later = "a,EUR,two,30.00,2026-03,,2026-03-01,\n"
    for number, rows in enumerate((later, f"a,EUR,one,500.00,2026-01,,,2026-03-01\n{later}")):
        project = agreed(tmp_path / str(number), rows)
        issue(project, "2026-01", 1, {"a": 10}, granted=50_000)
        issue(project, "2026-02", 1, {"a": 10})
        assert advances(project, "2026-03") == (("2026-03", 3_000),)
    project = agreed(tmp_path / "ended", f"a,EUR,one,500.00,2026-02,,,2026-03-01\n{later}")
    issue(project, "2026-01", 1, {"a": 10})
    assert advances(project, "2026-03") == (("2026-03", 53_000),)


def test_an_agreement_in_force_has_terms_in_a_currency_without_a_pool(tmp_path: Path) -> None:
    project = agreed(tmp_path, "a,USD,one,,,100.00,,\na,JPY,old,,,100,,2026-01-01\n")
    books = read_books(project, "2026-02", "a", ["EUR"])
    assert {key: terms.guarantee_minor for key, terms in books.agreements.items()} == {
        ("a", "EUR"): 0,
        ("a", "USD"): 10_000,
    }


def test_who_was_removed_from_the_rights_is_known_when_its_first_month_is_restated(tmp_path: Path) -> None:
    """`gone` has an agreement still, and no account of a month before."""
    project = agreed(tmp_path, "gone,EUR,one,,,100.00,,\n")
    issue(project, "2026-01", 1, {"a": 10, "gone": 5})
    books = read_books(project, "2026-01", "a", ["EUR"])
    assert books.agreements["gone", "EUR"].guarantee_minor == 10_000
    assert (books.accounts, books.adjustments) == ({}, {})
