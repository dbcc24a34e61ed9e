"""What the reading commands print: valuations, statements, status."""

import json
from fractions import Fraction

from rich import box
from rich.console import Console
from rich.table import Table

from tribute.config import Project, period_days
from tribute.errors import ValuationError
from tribute.lineage import lineage
from tribute.royalty import Money, canonical_json, render_html, render_text
from tribute.valuation import Valuation, read_valuation
from tribute_jobs.settled import latest_statements, statement_folder
from tribute_storage import Lake, connect


def latest_valuation(project: Project, period: str) -> Valuation:
    """The valuation last settled for a period, or else the current settings' one with the most queries.

    Raises:
        ValuationError: the period has none.
    """
    period_days(period)
    with connect(project.lake_root) as connection:
        rows = (
            connection.execute(
                "select value_run from statements where period = $1 order by statement_version desc limit 1",
                [period],
            ).fetchall()
            or connection.execute(
                "select run_id from valuations where period = $1 and simulate_run = $2 "
                "order by queries desc, run_id limit 1",
                [period, lineage(project).simulate_run],
            ).fetchall()
        )
    if not rows:
        raise ValuationError(
            f"Period {period} has no valuation. Make one: tribute run PROJECT.yaml --period {period}"
        )
    return Valuation(rows[0][0], period, read_valuation(Lake(project.lake_root), rows[0][0]), False)


def print_valuation(project: Project, valuation: Valuation, console: Console) -> None:
    """The table of publishers: value, interval, share, amount."""
    settled = {each["publisher_id"]: each for each in latest_statements(project, valuation.period)}
    title = f"{project.name}, {valuation.period}: {valuation.run_id}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("publisher", overflow="fold")
    currency = next(iter(settled.values()))["currency"] if settled else ""
    for heading in ("value", "95% interval", "tokens", "share", f"amount {currency}".strip()):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in valuation.publishers():
        statement = settled.get(row["publisher_id"])
        table.add_row(
            row["publisher_id"],
            f"{row['value_nats']:.1f}",
            f"{row['ci_low_nats']:.1f} to {row['ci_high_nats']:.1f}",
            f"{row['token_share']:.1%}",
            f"{float(Fraction(row['share'])):.2%}",
            statement["amount"].removesuffix(f" {currency}") if statement else "not settled",
        )
    console.print(table)
    console.print("  value and interval in nats, over the month's queries", style="dim")
    if settled:
        first = next(iter(settled.values()))
        paid = Money(sum(each["amount_minor"] for each in settled.values()), first["currency"])
        folder = statement_folder(project, valuation.period, first["statement_version"])
        console.print(
            f"Amounts sum to {paid.text()} of a pool of {first['pool']['pool_amount']}. Statements: {folder}",
            highlight=False,
            soft_wrap=True,
        )


def statement_text(project: Project, publisher: str, period: str, output: str) -> str:
    """A publisher's latest statement as text, JSON or HTML.

    Raises:
        ValuationError: there is none.
    """
    found = {each["publisher_id"]: each for each in latest_statements(project, period)}
    if publisher not in found:
        known = (
            f"Publishers: {', '.join(found)}"
            if found
            else f"Settle it: tribute run PROJECT.yaml --period {period}"
        )
        raise ValuationError(f"Period {period} has no statement for {publisher!r}. {known}")
    if output == "json":
        return canonical_json(found[publisher]).decode()
    return render_html(found[publisher]) if output == "html" else render_text(found[publisher])


def print_status(project: Project, as_json: bool) -> None:
    """Runs of the current settings, and the periods that are valued and settled."""
    runs, lake = lineage(project), Lake(project.lake_root)
    stages = {
        "corpus": (runs.corpus_run, lake.committed("corpus_sources", runs.corpus_run)),
        "train": (runs.train_run, lake.committed("trajectories", runs.train_run)),
        "simulate": (runs.simulate_run, lake.committed("simulations", runs.simulate_run)),
    }
    with connect(project.lake_root) as connection:
        periods = connection.execute(
            "select period, count(*) as queries, count(distinct run_id) as runs from queries "
            "where simulate_run = $1 group by period order by period",
            [runs.simulate_run],
        ).fetchall()
        settled = connection.execute(
            "select period, max(statement_version), any_value(currency) from statements "
            "group by period order by period"
        ).fetchall()
    if as_json:
        content = {"runs": {k: {"run_id": r, "committed": c} for k, (r, c) in stages.items()}}
        content |= {"attributed": [list(row) for row in periods], "settled": [list(row) for row in settled]}  # type: ignore[dict-item]
        print(json.dumps(content, indent=2))
        return
    console = Console()
    for stage, (run_id, committed) in stages.items():
        console.print(f"  {stage:<10}{'done' if committed else 'to do'}  {run_id}", highlight=False)
    for period, queries, count in periods:
        console.print(f"  {period}   {queries:,} queries attributed in {count} run(s)", highlight=False)
    for period, version, currency in settled:
        console.print(f"  {period}   settled, version {version}, {currency}", highlight=False)
