"""Output of the reading commands: valuations, statements, status."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from tribute.catalog import Valuation, lineage, read_valuation
from tribute.config import Project
from tribute.errors import ConfigError, ValuationError
from tribute.ids import excerpt, listed, nfc
from tribute.royalty import render
from tribute.royalty.document import Statement, repetition_words
from tribute.royalty.exact import Money
from tribute.royalty.exact.calendar import period_days
from tribute_jobs.inquiries.picture import shares_picture
from tribute_jobs.period.statements import latest_statements, statement_folder
from tribute_jobs.printing import Heading, print_table, terminal, wrapped
from tribute_jobs.running import RunningStage, running_stage
from tribute_storage import Lake, open_tables
from tribute_storage.atomic import write_atomically

HEADINGS = (
    Heading("publisher", right=False),
    Heading("value", spare=2),
    Heading("95% interval", spare=3),
    Heading("tokens", spare=4),
    Heading("share", spare=1),
    Heading("amount"),
    Heading("paid"),
)


def latest_valuation(project: Project, period: str) -> Valuation:
    """The valuation last settled for a period, or else the current settings' one with the most queries.

    Raises:
        ValuationError: the period has none.
    """
    period_days(period)
    with open_tables(project.lake_root, "statements", "valuations") as connection:
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
    """Print the table of publishers: value, interval, share of tokens, share of the pools, amount, payment.

    A publisher that is paid in several currencies has a row for each.
    """
    statements = latest_statements(project, valuation.period)
    settled: dict[str, list[Statement | None]] = defaultdict(list)
    for statement in statements:
        settled[statement.publisher_id].append(statement)
    paid_differs = any(each.amount_minor != each.balance.amount_paid_minor for each in statements)
    headings = HEADINGS if paid_differs else HEADINGS[:-1]
    rows = [
        _cells(row, statement)[: len(headings)]
        for row in valuation.publishers()
        for statement in settled[row["publisher_id"]] or [None]
    ]
    told = [row["expected_misallocation"] for row in valuation.publishers() if row["queries"]]
    if (expected := next(iter(told), None)) is not None:
        console.print(f"{expected:.1%} of the pool is expected in the wrong place.")
    print_table(console, headings, rows, f"{project.name}, {valuation.period}: {valuation.run_id}")
    console.print(
        "  value: how much the sources lowered the model's loss on the month's queries, nats\n"
        "  tokens: part of the corpus; share: part of the money",
        style="dim",
    )
    repetition = statements[0].repetition if statements else project.training.repetition
    for line in wrapped(repetition_words(repetition).meaning):
        console.print(line, style="dim", soft_wrap=True)
    if statements:
        _print_sums(project, statements, console)


def _cells(row: dict[str, Any], statement: Statement | None) -> list[str]:
    """A publisher in one currency."""
    return [
        row["publisher_id"],
        f"{row['value_nats']:.1f}",
        f"{row['ci_low_nats']:.1f} to {row['ci_high_nats']:.1f}",
        f"{row['token_share']:.1%}",
        f"{float(Fraction(statement.share if statement else row['share'])):.2%}",
        statement.amount if statement else "not settled",
        _paid(statement).text() if statement else "",
    ]


def write_picture(project: Project, valuation: Valuation, path: Path) -> None:
    """Draw the publishers' shares, with intervals and token counts, as an SVG file."""
    settled = {each.publisher_id: each.share for each in latest_statements(project, valuation.period)}
    rows = valuation.publishers()
    shares = {row["publisher_id"]: settled.get(row["publisher_id"], row["share"]) for row in rows}
    drawn = shares_picture(
        f"{project.name}, {valuation.period}", rows, {name: float(Fraction(text)) for name, text in shares.items()}
    )
    write_atomically(path, drawn.encode())


def _print_sums(project: Project, statements: list[Statement], console: Console) -> None:
    first = statements[0]
    for currency in sorted({each.currency for each in statements}):
        own = [each for each in statements if each.currency == currency]
        pool = Money(sum(pool.pool_amount_minor for pool in own[0].pools), currency)
        amount = Money(sum(each.amount_minor for each in own), currency)
        console.print(f"Amounts sum to {amount.text()} of a pool of {pool.text()}.")
    folder = statement_folder(project, first.period, first.statement_version)
    console.print(
        f"Statements, version {first.statement_version}, {first.status}: {folder}",
        soft_wrap=True,
    )


def _paid(statement: Statement) -> Money:
    return Money(statement.balance.amount_paid_minor, statement.currency)


def statement_bytes(project: Project, publisher: str, period: str, output: str) -> bytes:
    """A publisher's latest statements of a period, one for each currency, as text, JSON, HTML or PDF.

    Raises:
        ConfigError: there is no such format, or a page is asked of a publisher with several currencies.
        ValuationError: there is no statement.
    """
    publisher = nfc(publisher)
    found: dict[str, list[Statement]] = defaultdict(list)
    for each in latest_statements(project, period):
        found[each.publisher_id].append(each)
    if publisher not in found:
        known = (
            f"Publishers: {listed(found, 20)}"
            if found
            else f"Settle it: tribute run PROJECT.yaml --period {period}"
        )
        raise ValuationError(f"Period {period} has no statement for {excerpt(publisher)}. {known}")
    if output not in RENDERERS:
        raise ConfigError(f"There is no format {output!r}. Choose one of: {', '.join(RENDERERS)}")
    own = found[publisher]
    if len(own) > 1 and output in ("html", "pdf"):
        folder = statement_folder(project, period, own[0].statement_version)
        raise ConfigError(f"{publisher} has a page for each currency. They are in {folder}")
    return b"\n".join(RENDERERS[output](each) for each in own)


RENDERERS: dict[str, Callable[[Statement], bytes]] = {
    "text": lambda statement: render.render_text(statement).encode(),
    "json": lambda statement: statement.canonical() + b"\n",
    "html": lambda statement: render.render_html(statement).encode(),
    "pdf": lambda statement: render.render_pdf(statement),
}


class Months(NamedTuple):
    """Attributed months with their queries and runs; settled months with their version and currency."""

    attributed: list[tuple[str, int, int]]
    settled: list[tuple[str, int, str]]


def print_status(project: Project, as_json: bool) -> None:
    """Runs of the current settings, the stage that a run is at, and the months that are valued and settled."""
    runs, lake = lineage(project), Lake(project.lake_root)
    stages = {
        "corpus": (runs.corpus_run, lake.committed("corpus_sources", runs.corpus_run)),
        "train": (runs.train_run, lake.committed("trajectories", runs.train_run)),
        "simulate": (runs.simulate_run, lake.committed("simulations", runs.simulate_run)),
    }
    months, running = _months(project, runs.simulate_run), running_stage(project.workdir)
    if as_json:
        content = {
            "runs": {name: {"run_id": run, "committed": done} for name, (run, done) in stages.items()},
            "running": running and running.fields(),
            **months._asdict(),
        }
        print(json.dumps(content, indent=2))
    else:
        _print_stages(stages, running)
        _print_months(months)


def _months(project: Project, simulate_run: str) -> Months:
    with open_tables(project.lake_root, "queries", "statements") as connection:
        attributed = connection.execute(
            "select period, count(*) as queries, count(distinct run_id) as runs from queries "
            "where simulate_run = $1 group by period order by period",
            [simulate_run],
        ).fetchall()
        settled = connection.execute(
            "select period, max(statement_version), any_value(currency) from statements "
            "group by period order by period"
        ).fetchall()
    return Months(attributed, settled)


def _print_stages(stages: Mapping[str, tuple[str, bool]], running: RunningStage | None) -> None:
    """A line a stage; the one that is at work, or was stopped, says how far it is."""
    console, told = terminal(), False
    for stage, (run_id, committed) in stages.items():
        state = "done" if committed else "to do"
        if running is not None and running.figures.stage == stage and not committed:
            state, told = running.text(), True
        console.print(f"  {stage:<10}{state}  {run_id}", soft_wrap=True)
    if running is not None and not told and running.figures.stage not in stages:
        console.print(f"  {running.figures.stage:<10}{running.text()}", soft_wrap=True)


def _print_months(months: Months) -> None:
    console = terminal()
    for period, queries, count in months.attributed:
        console.print(f"  {period}   {queries:,} queries attributed in {count} run(s)")
    for period, version, currency in months.settled:
        console.print(f"  {period}   settled, version {version}, {currency}")
