"""A committed valuation as inputs of the royalty rules: exact numbers, described sources, all payees."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tribute.catalog import Valuation, customer_values, lineage, read_book
from tribute.config import Project
from tribute.royalty.statement import LineValue, PublisherValue
from tribute.royalty.terms import read_terms, terms_json
from tribute.valuation import exact
from tribute_jobs.period.statements import Period
from tribute_storage import open_tables

Row = dict[str, Any]
NOTHING = Decimal(0)


def publisher_values(project: Project, valuation: Valuation, by_customer: bool) -> list[PublisherValue]:
    """Every publisher of the rights book, with or without sources in the period.

    Args:
        by_customer: whether the policy needs the values of each customer's own queries.
    """
    rows = valuation.rows.to_pylist()
    described, names = _described(project)
    customers = customer_values(project, valuation) if by_customer else {}
    lines: dict[str, list[LineValue]] = defaultdict(list)
    for row in rows:
        if row["level"] == "line":
            lines[row["publisher_id"]].append(_line(row, described[row["source_id"]]))
    valued = [
        PublisherValue(
            publisher_id=row["publisher_id"],
            name=names.get(row["publisher_id"], row["publisher_id"]),
            attribution_signed_nats=exact(row["attribution_nats"]),
            value_nats=exact(row["value_nats"]),
            ci_low_nats=exact(row["ci_low_nats"]),
            ci_high_nats=exact(row["ci_high_nats"]),
            lines=tuple(lines[row["publisher_id"]]),
            usage_count=row["queries"],
            by_customer=customers.get(row["publisher_id"], {}),
            share_ends=_share_ends(row),
        )
        for row in rows
        if row["level"] == "publisher"
    ]
    known = {value.publisher_id for value in valued}
    idle = [_idle(publisher, name) for publisher, name in sorted(names.items()) if publisher not in known]
    return valued + idle


def absent_publishers(
    period: Period, present: Sequence[PublisherValue], keys: Iterable[tuple[str, str]]
) -> list[PublisherValue]:
    """Publishers that the rights book no longer lists but that still have an account, an adjustment or terms."""
    missing = {publisher for publisher, _ in keys} - {each.publisher_id for each in present}
    names = {each.publisher_id: each.publisher_name for each, _ in period.final_statements()}
    return [_idle(publisher, names.get(publisher, publisher)) for publisher in sorted(missing)]


def _share_ends(row: Row) -> tuple[Decimal, Decimal] | None:
    """The interval of a share; None: an earlier release valued the month."""
    return None if row["share_low"] is None else (exact(row["share_low"]), exact(row["share_high"]))


def _line(row: Row, described: Mapping[str, Any]) -> LineValue:
    return LineValue(
        source_id=row["source_id"],
        usage_count=row["queries"],
        tokens=round(row["tokens"]),
        split=Fraction(row["split"]),
        attribution_signed_nats=exact(row["attribution_nats"]),
        value_nats=exact(row["value_nats"]),
        ci_low_nats=exact(row["ci_low_nats"]),
        ci_high_nats=exact(row["ci_high_nats"]),
        **described,
    )


def _idle(publisher_id: str, name: str) -> PublisherValue:
    return PublisherValue(publisher_id, name, NOTHING, NOTHING, NOTHING, NOTHING, ())


def _described(project: Project) -> tuple[dict[str, Row], dict[str, str]]:
    """Title, licence and declared terms of every source of the corpus; names of the current book's publishers."""
    terms = read_terms(project.rights.terms) if project.rights.terms else {}
    with open_tables(project.lake_root, "corpus_sources") as connection:
        sources = connection.execute(
            "select source_id, title, license, publisher from corpus_sources where run_id = $1",
            [lineage(project).corpus_run],
        ).fetchall()
    book = read_book(project, {source_id: publisher for source_id, _, _, publisher in sources})
    described: dict[str, Row] = {
        source_id: {
            "title": title,
            "license": licence,
            "terms": terms_json(terms[source_id]) if source_id in terms else {},
        }
        for source_id, title, licence, _ in sources
    }
    return described, {each.publisher_id: each.name for each in book.publishers}
