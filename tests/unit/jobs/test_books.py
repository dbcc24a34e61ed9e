"""What a month inherits from the closed ones before it."""

from pathlib import Path

import pyarrow as pa

from tests.projects import write_project
from tests.unit.royalty.issued import statements
from tribute.config import Project, load_project
from tribute.royalty import canonical_json
from tribute_jobs.money.books import read_books
from tribute_storage import SCHEMAS, Lake

PLAIN = (("EUR", "pool", 200),)


def issue(
    project: Project, period: str, version: int, earned: dict[str, int], carried: list[dict] | None = None
) -> None:
    """Final statements of a version, which earn as said; `carried`: adjustments on the first of them."""
    rows = []
    for each in statements(period, tuple(earned), 1, PLAIN):
        each["statement_id"] = each["statement_id"].replace("-v1", f"-v{version}")
        each["statement_version"] = version
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
        {"to": key[0], "reason": each.reason, "adjusts_statement_id": each.adjusts_statement_id, "amount_minor": 1}
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
    issue(project, "2026-03", 1, {"a": 10})
    assert read_books(project, "2026-04", "a", ["EUR"]).agreements["a", "EUR"].advances == ()
