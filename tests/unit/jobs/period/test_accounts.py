"""Opening accounts of a month, from the closed months before it."""

from collections.abc import Sequence
from pathlib import Path

from tests.projects import write_project
from tests.statements import revised, statements
from tribute.config import Project, load_project
from tribute.royalty.document import AccountState, Adjustment
from tribute.royalty.statement import Books
from tribute_jobs.period.accounts import read_books
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version, read_period
from tribute_storage import Lake

PLAIN = (("EUR", "pool", 200),)


def close(
    project: Project, period: str, version: int, earned: dict[str, int],
    carried: dict[str, Sequence[Adjustment]] | None = None, granted: int = 0,
) -> None:  # fmt: skip
    """Commit final statements that earn as given, carry adjustments and grant an advance each."""
    made = []
    for each in statements(period, tuple(earned), 1, PLAIN):
        changes = {
            "statement_id": each.statement_id.replace("-v1", f"-v{version}"),
            "statement_version": version,
            "restates_statement_version": version - 1 or None,
            "balance.advance_granted_minor": granted,
            "balance.royalty_earned_minor": earned[each.publisher_id],
            "balance.adjustments": (carried or {}).get(each.publisher_id, ()),
            "balance.account": AccountState(),
        }
        made.append(revised(each, changes))
    settled = Version(f"{period}-{version}", tuple(made), f"to version {version}")
    commit(Lake(project.lake_root), Settlement(settled))


def books(project: Project, period: str, known: str = "ab") -> Books:
    return read_books(read_period(project, period), known, ["EUR"])


def owed(project: Project, period: str) -> dict[str, list[int]]:
    return {
        key[0]: [each.amount_minor for each in moved] for key, moved in books(project, period).adjustments.items()
    }


def test_every_restatement_is_carried_once_even_of_a_publisher_that_came_later(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path))
    close(project, "2026-01", 1, {"a": 100})
    assert owed(project, "2026-02") == {}
    close(project, "2026-01", 2, {"a": 70, "b": 30})
    assert owed(project, "2026-02") == {"a": [-30], "b": [30]}
    carried = {key[0]: moved for key, moved in books(project, "2026-02").adjustments.items()}
    close(project, "2026-02", 1, {"a": 0, "b": 0}, carried)
    assert owed(project, "2026-03") == {}
    close(project, "2026-01", 3, {"a": 50, "b": 50})
    assert owed(project, "2026-03") == {"a": [-20], "b": [20]}


def test_an_advance_of_a_month_that_was_not_settled_is_granted_in_the_next(tmp_path: Path) -> None:
    path = write_project(tmp_path, rights={"sources": "sources.csv", "agreements": "agreements.csv"})
    (tmp_path / "agreements.csv").write_text(
        "publisher_id,currency,advance,advance_period\na,EUR,500.00,2026-03\n"
    )
    project = load_project(path)
    close(project, "2026-02", 1, {"a": 10})
    granted = [books(project, month, "a").agreements["a", "EUR"].advances for month in ("2026-04", "2026-03")]
    assert granted == [(("2026-04", 50_000),), (("2026-03", 50_000),)]
    close(project, "2026-03", 1, {"a": 10}, granted=50_000)
    assert books(project, "2026-04", "a").agreements["a", "EUR"].advances == ()


def agreed(folder: Path, rows: str) -> Project:
    """A project with agreements of these rows."""
    folder.mkdir(exist_ok=True)
    path = write_project(folder, rights={"sources": "sources.csv", "agreements": "agreements.csv"})
    head = "publisher_id,currency,agreement_id,advance,advance_period,minimum_guarantee,valid_from,valid_to\n"
    (folder / "agreements.csv").write_text(head + rows)
    return load_project(path)


def advances(project: Project, period: str) -> tuple[tuple[str, int], ...]:
    return books(project, period, "a").agreements["a", "EUR"].advances


def test_an_advance_that_was_agreed_after_its_month_closed_is_granted_once(tmp_path: Path) -> None:
    """500.00 of January were granted; 70.00 more are agreed for January when February is closed."""
    project = agreed(tmp_path, "a,EUR,one,500.00,2026-01,,,\na,EUR,one,70.00,2025-12,,,\n")
    close(project, "2026-01", 1, {"a": 10}, granted=50_000)
    close(project, "2026-02", 1, {"a": 10})
    assert advances(project, "2026-03") == (("2026-03", 7_000),)
    close(project, "2026-03", 1, {"a": 10}, granted=7_000)
    assert advances(project, "2026-04") == ()


def test_an_advance_of_a_later_agreement_does_not_set_off_one_that_was_granted(tmp_path: Path) -> None:
    """Also where the earlier agreement is no longer in the file; one that has ended still owes its advance."""
    later = "a,EUR,two,30.00,2026-03,,2026-03-01,\n"
    for number, rows in enumerate((later, f"a,EUR,one,500.00,2026-01,,,2026-03-01\n{later}")):
        project = agreed(tmp_path / str(number), rows)
        close(project, "2026-01", 1, {"a": 10}, granted=50_000)
        close(project, "2026-02", 1, {"a": 10})
        assert advances(project, "2026-03") == (("2026-03", 3_000),)
    project = agreed(tmp_path / "ended", f"a,EUR,one,500.00,2026-02,,,2026-03-01\n{later}")
    close(project, "2026-01", 1, {"a": 10})
    assert advances(project, "2026-03") == (("2026-03", 53_000),)


def test_an_agreement_in_force_has_terms_in_a_currency_without_a_pool(tmp_path: Path) -> None:
    project = agreed(tmp_path, "a,USD,one,,,100.00,,\na,JPY,old,,,100,,2026-01-01\n")
    found = books(project, "2026-02", "a")
    assert {key: terms.guarantee_minor for key, terms in found.agreements.items()} == {
        ("a", "EUR"): 0,
        ("a", "USD"): 10_000,
    }


def test_who_was_removed_from_the_rights_is_known_when_its_first_month_is_restated(tmp_path: Path) -> None:
    """`gone` has an agreement still, and no account of a month before."""
    project = agreed(tmp_path, "gone,EUR,one,,,100.00,,\n")
    close(project, "2026-01", 1, {"a": 10, "gone": 5})
    found = books(project, "2026-01", "a")
    assert found.agreements["gone", "EUR"].guarantee_minor == 10_000
    assert (found.accounts, found.adjustments) == ({}, {})
