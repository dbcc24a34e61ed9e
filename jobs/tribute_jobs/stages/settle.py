"""Stage `settle`: divide the period's pool to the minor unit and write every publisher's statement."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tribute.lineage import run_id as make_run_id
from tribute.royalty import (
    LineValue,
    Money,
    PeriodFacts,
    PublisherValue,
    Quality,
    build_statements,
    canonical_json,
    parse_money,
    period_csv,
    render_html,
    render_report,
    statement_sha256,
)
from tribute.tracking import Record, track
from tribute.valuation import Valuation, read_valuation
from tribute_jobs.context import Context
from tribute_jobs.settled import statement_folder, statements_of_run
from tribute_jobs.stages.stage import StageOutput
from tribute_storage import SCHEMAS, connect
from tribute_storage.atomic import write_atomically


def settle(context: Context, period: str, value_run: str) -> StageOutput:
    """Commit `statement_lines` and `statements`, write the statements' files and add them to the MLflow run."""
    project = context.project
    quality = _quality(context, period)
    certificate = [quality.certificate_id] if quality else []
    run_id = make_run_id("settle", value_run, project.pool.fingerprint(), project.name, *certificate)
    new = not context.lake.committed("statements", run_id)
    valuation = Valuation(value_run, period, read_valuation(context.lake, value_run), False)
    if new:
        context.reporter.started("settle", run_id)
        _commit(context, run_id, _statements(context, valuation, quality))
    statements = statements_of_run(project, run_id)
    folder = statement_folder(project, period, statements[0]["statement_version"])
    _write_files(folder, statements)
    problem = track(project, _record(valuation, statements))
    if problem:
        context.reporter.warned(problem)
    pool = parse_money(project.pool.amount, project.pool.currency)
    return StageOutput(run_id, new, f"{pool.text()} over {len(statements)} publishers, in {folder}")


def _quality(context: Context, period: str) -> Quality | None:
    """The certificate of this simulation, the period's own or the latest before it; that of most seeds."""
    with connect(context.lake.root) as connection:
        found = connection.execute(
            "select run_id, sha256, misallocated_pool, coverage_95 from certificates where simulate_run = $1 "
            "and period <= $2 order by period desc, seeds desc, run_id limit 1",
            [context.runs.simulate_run, period],
        ).fetchone()
    return Quality(found[0], found[1], *(Decimal(f"{value:.3f}") for value in found[2:])) if found else None


def _statements(context: Context, valuation: Valuation, quality: Quality | None) -> list[dict[str, Any]]:
    project, publishers = context.project, valuation.publishers()
    with connect(context.lake.root) as connection:
        described = {
            source: (title, licence)
            for source, title, licence in connection.execute(
                "select source_id, title, license from corpus_sources where run_id = $1",
                [context.runs.corpus_run],
            ).fetchall()
        }
        names = dict(connection.execute("select publisher_id, max(name) from publishers group by all").fetchall())
        [(earlier,)] = connection.execute(
            "select coalesce(max(statement_version), 0) from statements where period = $1", [valuation.period]
        ).fetchall()
    facts = PeriodFacts(
        project=project.name,
        period=valuation.period,
        pool=parse_money(project.pool.amount, project.pool.currency),
        shrinkage=_decimal(publishers[0]["shrinkage"]),
        value_run=valuation.run_id,
        simulate_run=context.runs.simulate_run,
        train_run=context.runs.train_run,
        statement_version=earlier + 1,
        quality=quality,
    )
    lines = [row for row in valuation.rows.to_pylist() if row["level"] == "line"]
    return build_statements(
        facts,
        [
            PublisherValue(
                publisher_id=row["publisher_id"],
                name=names.get(row["publisher_id"], row["publisher_id"]),
                share=Fraction(row["share"]),
                lines=tuple(
                    _line(line, *described[line["source_id"]])
                    for line in lines
                    if line["publisher_id"] == row["publisher_id"]
                ),
                **_values(row),
            )
            for row in publishers
        ],
    )


def _line(row: dict[str, Any], title: str, licence: str) -> LineValue:
    return LineValue(
        source_id=row["source_id"],
        title=title,
        license=licence,
        usage_count=row["queries"],
        tokens=round(row["tokens"]),
        split=Fraction(row["split"]),
        **_values(row),
    )


def _values(row: dict[str, Any]) -> dict[str, Decimal]:
    return {
        "attribution_signed_nats": _decimal(row["attribution_nats"]),
        "value_nats": _decimal(row["value_nats"]),
        "ci_low_nats": _decimal(row["ci_low_nats"]),
        "ci_high_nats": _decimal(row["ci_high_nats"]),
    }


def _decimal(value: float) -> Decimal:
    """A measured number with the nine significant digits that a statement shows."""
    return Decimal(f"{value:.9g}")


def _commit(context: Context, run_id: str, statements: list[dict[str, Any]]) -> None:
    lines = [
        {
            "run_id": run_id,
            "statement_id": statement["statement_id"],
            "line_id": line["line_id"],
            "period": statement["period"],
            "publisher_id": statement["publisher_id"],
            "source_id": line["source_id"],
            "attribution_signed_nats": line["attribution_signed_nats"],
            "attribution_payable_nats": line["attribution_payable_nats"],
            "amount_minor": line["amount_minor"],
        }
        for statement in statements
        for line in statement["lines"]
    ]
    copied = ("value_run", "statement_id", "statement_version", "period", "publisher_id", "currency")
    rows = [
        {name: statement[name] for name in (*copied, "currency_exponent", "amount_minor", "share")}
        | {
            "run_id": run_id,
            "pool_minor": statement["pool"]["pool_amount_minor"],
            "json": canonical_json(statement).decode(),
            "sha256": statement_sha256(statement),
        }
        for statement in statements
    ]
    context.lake.append("statement_lines", run_id, pa.Table.from_pylist(lines, SCHEMAS["statement_lines"]))
    context.lake.append("statements", run_id, pa.Table.from_pylist(rows, SCHEMAS["statements"]))


def _write_files(folder: Path, statements: list[dict[str, Any]]) -> None:
    """The statements as files, from what the lake holds; those that are there are left alone."""
    renderings: list[tuple[str, Callable[[], str]]] = [
        ("period.csv", partial(period_csv, statements)),
        ("report.html", partial(render_report, statements)),
    ]
    for statement in statements:
        name = statement["publisher_id"]
        renderings.append((f"{name}.json", partial(_canonical_text, statement)))
        renderings.append((f"{name}.html", partial(render_html, statement)))
    for name, render in renderings:
        if not (folder / name).exists():
            write_atomically(folder / name, render().encode())


def _canonical_text(statement: dict[str, Any]) -> str:
    return canonical_json(statement).decode()


def _record(valuation: Valuation, statements: list[dict[str, Any]]) -> Record:
    """What the settlement adds to the valuation's MLflow run: amounts as text, never as metrics."""
    version = statements[0]["statement_version"]
    pool = Money(statements[0]["pool"]["pool_amount_minor"], statements[0]["currency"])
    return Record(
        valuation.run_id,
        f"{valuation.period} {valuation.run_id}",
        f"settlement-v{version}",
        tags={"pool": pool.text(), "statement_version": str(version), "status": "draft"},
        texts={"report.html": render_report(statements), "period.csv": period_csv(statements)},
    )
