"""A small market of three publishers with every table filled, and what each of them may see of it.

Every text that belongs to somebody holds a mark such as BETAQ, so that a leak is found by looking for the mark.
JOINTQ is a source of alpha and beta, MOVEDQ went from beta to gamma in October, FIXEDQ is alpha's, though the
first book of rights gave it to gamma.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.unit.storage.rows import VALUES
from tribute_storage import SCHEMAS, Lake

Row = dict[str, Any]
Tables = dict[str, list[Row]]

ALPHA, BETA, GAMMA = "alphaq", "Betaq & Sons / EU", "gammaq"
NAMES = {ALPHA: "ALPHAQ House", BETA: "BETAQ House", GAMMA: "GAMMAQ House"}
PERIODS = ("2026-09", "2026-10")
RUNS = {"attribute-09": PERIODS[:1], "attribute-10": PERIODS[1:], "service": PERIODS}
OCTOBER = date(2026, 10, 1)
MISTAKEN = [("FIXEDQ", GAMMA, None, None)]
BOOK = [
    ("ALPHAQ-1", ALPHA, None, None),
    ("BETAQ-1", BETA, None, None),
    ("GAMMAQ-1", GAMMA, None, None),
    ("FIXEDQ", ALPHA, None, None),
    ("JOINTQ", ALPHA, None, None),
    ("JOINTQ", BETA, date(2025, 1, 1), None),
    ("MOVEDQ", BETA, None, OCTOBER),
    ("MOVEDQ", GAMMA, OCTOBER, None),
]
FORBIDDEN = {
    ALPHA: ("betaq", "gammaq", "movedq", "customerq", "hashq", "everybodyq"),
    BETA: ("alphaq", "gammaq", "fixedq", "customerq", "hashq", "everybodyq"),
    GAMMA: ("alphaq", "betaq", "jointq", "customerq", "hashq", "everybodyq"),
}
PUBLISHER_OF = {"ALPHAQ-1": ALPHA, "FIXEDQ": ALPHA, "JOINTQ": ALPHA, "BETAQ-1": BETA, "MOVEDQ": BETA}
HIDDEN = {
    "simulations": ("settings_json", "artifact_uri"),
    "queries": ("customer_id", "content_sha256"),
    "certificates": ("json",),
    "valuations": ("calibration",),
    "bundles": ("artifact_uri",),
}
OWN = ("publishers", "rights", "valuations", "statements", "statement_lines", "disputes")
EVERYONES = ("precisions", "evaluations", "certificates", "policies", "bundles", "reversals")
Book = Sequence[tuple[str, str, date | None, date | None]]


def row(table: str, run_id: str, **values: Any) -> Row:
    """A row of any table: what is not said is some text or number."""
    filled = {field.name: VALUES[field.type] for field in SCHEMAS[table]}
    return filled | {"run_id": run_id} | values


def market(book: Book = BOOK, queries: int = 3) -> Tables:
    """All rows of the lake; `queries` of each run and month."""
    sources = sorted({source for source, *_ in book})
    tables: Tables = {
        "rights": _rights("rights-1", MISTAKEN) + _rights("rights-2", book),
        "publishers": [row("publishers", "rights-2", publisher_id=p, name=n) for p, n in NAMES.items()],
    }
    parts = (_corpus(sources), _uses(sources, queries), _whole(sources), _money(book), _books(book))
    for part in parts:
        tables |= part
    return tables


def commit(root: Path, tables: Tables) -> None:
    """Commit the rows, run by run in the order in which they stand."""
    lake = Lake(root)
    for table, rows in tables.items():
        for run_id in dict.fromkeys(each["run_id"] for each in rows):
            chosen = [each for each in rows if each["run_id"] == run_id]
            lake.append(table, run_id, pa.Table.from_pylist(chosen, SCHEMAS[table]))


def visible(tables: Tables, book: Book, publisher: str, period: str | None = None) -> Tables:
    """What a publisher's file holds, by loops; queries under their own ids."""
    months = PERIODS if period is None else (period,)
    ever = [(date.min, date.max)] if period is None else [_days(period)]
    mine = {s for s in {r[0] for r in book} if any(_holds(book, publisher, s, days) for days in ever)}
    held = {(s, month) for s in mine for month in PERIODS if _holds(book, publisher, s, _days(month))}
    asked = {(q["run_id"], q["query_id"]): q["period"] for q in tables["queries"] if q["period"] in months}
    seen: Tables = {table: [] for table in SCHEMAS}
    for table, rows in tables.items():
        for each in rows:
            if "period" in each and each["period"] not in months:
                continue
            source, run = each.get("source_id"), each["run_id"]
            if table in OWN:
                shown = each["publisher_id"] == publisher
            elif table in ("corpus_sources", "corpus_documents", "corpus_duplicates", "learning"):
                shown = source in mine
            elif table == "simulations":
                shown = source in mine and len(each["removed"]) == 1
            elif table == "influence":
                key = (run, each["query_id"])
                shown = source in mine and key in asked and (source, asked[key]) in held
            elif table in ("predicted", "estimates"):
                unit = each["unit_id"] if table == "estimates" else source
                shown = bool(set(RUNS[run]) & set(months)) and all((unit, month) in held for month in RUNS[run])
            else:
                shown = table in EVERYONES
            if table == "corpus_duplicates" and each["credited_source_id"] not in mine:
                each = each | {"credited_source_id": None}
            if shown:
                seen[table].append(_redacted(table, each, publisher))
    known = {(each["run_id"], each["query_id"]) for each in seen["influence"]}
    for each in tables["queries"]:
        if (each["run_id"], each["query_id"]) in known:
            seen["queries"].append(_redacted("queries", each, publisher))
    return seen


def _redacted(table: str, each: Row, publisher: str) -> Row:
    changed = dict.fromkeys(HIDDEN.get(table, ()))
    if table == "corpus_sources" and each["publisher"] != NAMES[publisher]:
        changed["publisher"] = None
    return each | changed


def _days(month: str) -> tuple[date, date]:
    first = date.fromisoformat(f"{month}-01")
    return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _holds(book: Book, publisher: str, source: str, days: tuple[date, date]) -> bool:
    first, after = days
    return any(
        (begin or date.min) < (end or date.max) and (begin or date.min) < after and first < (end or date.max)
        for named, holder, begin, end in book
        if (named, holder) == (source, publisher)
    )


def _rights(run_id: str, book: Book) -> list[Row]:
    return [
        row("rights", run_id, source_id=s, publisher_id=p, split="1/2", valid_from=begin, valid_to=end)
        for s, p, begin, end in book
    ]


def _corpus(sources: list[str]) -> Tables:
    return {
        "corpus_sources": [
            row("corpus_sources", "corpus", source_id=s, title=f"{s} title", publisher=_name(s)) for s in sources
        ],
        "corpus_documents": [
            row("corpus_documents", "corpus", source_id=s, document_id=f"{s}/{n}", sha256=f"{s}-sha")
            for s, n in product(sources, range(2))
        ],
        "corpus_duplicates": [
            row("corpus_duplicates", "corpus", source_id=s, credited_source_id=t)
            for s, t in product(sources, sources)
        ],
        "simulations": [
            row("simulations", "simulate", unit_id=s, removed=[s], source_id=s, settings_json="EVERYBODYQ")
            for s in sources
        ]
        + [row("simulations", "simulate", unit_id="EVERYBODYQ", removed=sources, source_id=None)]
        + [row("simulations", "simulate", unit_id=s, removed=sources, source_id=s) for s in sources[:1]],
        "retrains": [row("retrains", "bank", removed=[s, "EVERYBODYQ"]) for s in sources],
        "trajectories": [row("trajectories", "train", artifact_uri="EVERYBODYQ")],
        "learning": [row("learning", "train", source_id=s) for s in sources],
    }


def _uses(sources: list[str], queries: int) -> Tables:
    """Queries named after the held-out text of a source, as those of a batch are."""
    asked = [
        (run, month, f"{source}/{month}/{number}")
        for run, months in RUNS.items()
        for month, source, number in product(months, sources, range(queries))
    ]
    moment = datetime(2026, 9, 5, tzinfo=UTC)
    private = {"customer_id": "CUSTOMERQ", "content_sha256": "HASHQ", "time": moment}
    return {
        "influence": [
            row("influence", run, source_id=s, replicate=0, query_id=q, influence_nats=float(n))
            for n, ((run, _, q), s) in enumerate(product(asked, sources))
        ],
        "influence_tokens": [
            row("influence_tokens", run, source_id=s, replicate=0, query_id=q, position=n)
            for n, ((run, _, q), s) in enumerate(product(asked, sources))
        ],
        "queries": [row("queries", run, period=month, query_id=q, **private) for run, month, q in asked],
        "usage_events": [
            row("usage_events", run, period=month, query_id=q, content_json="CUSTOMERQ", **private)
            for run, month, q in asked
        ],
    }


def _whole(sources: list[str]) -> Tables:
    return {
        "predicted": [row("predicted", run, source_id=s) for run, s in product(RUNS, sources)],
        "estimates": [row("estimates", run, unit_id=u) for run, u in product(RUNS, [*sources, "EVERYBODYQ"])],
        "measurements": [row("measurements", run, removed=[s, "EVERYBODYQ"]) for run, s in product(RUNS, sources)],
        "precisions": [row("precisions", f"retrain-{month}", period=month) for month in PERIODS],
        "evaluations": [row("evaluations", f"evaluate-{month}", period=month) for month in PERIODS],
        "certificates": [
            row("certificates", f"evaluate-{month}", period=month, json=f"EVERYBODYQ {sources} {NAMES}")
            for month in PERIODS
        ],
    }


def _books(book: Book) -> Tables:
    """What the payer committed itself to, and what payees said to it."""
    payees = sorted({(month, p) for month, _, p in _due(book)})
    return {
        "projects": [row("projects", "owner", project="EVERYBODYQ")],
        "policies": [row("policies", f"policy-{month}", period=month) for month in PERIODS],
        "settled_files": [row("settled_files", f"settle-{m}-1", name="EVERYBODYQ") for m in PERIODS],
        "reversals": [row("reversals", f"reversal-{m}", period=m, reversed_run="none") for m in PERIODS],
        "bundles": [row("bundles", f"bundle-{m}", period=m, artifact_uri="EVERYBODYQ") for m in PERIODS],
        "ledger": [
            row("ledger", f"post-{month}", period=month, statement_id=f"{month} {NAMES[p]}")
            | {"narration": "EVERYBODYQ", "account": f"Liabilities:Publishers:{p}", "previous_sha256": "HASHQ"}
            for month, p in payees
        ],
        "disputes": [
            row("disputes", f"dispute-{month}-{p}-{event}", period=month, publisher_id=p, event=event)
            | {"statement_id": f"{month} {NAMES[p]}", "discrepancy_description": f"{NAMES[p]} objects"}
            for (month, p), event in product(payees, ("opened", "resolved"))
        ],
    }


def _due(book: Book) -> list[tuple[str, str, str]]:
    return [(month, s, p) for month in PERIODS for s, p, *_ in book if _holds(book, p, s, _days(month))]


def _money(book: Book) -> Tables:
    due = _due(book)
    payees = sorted({(month, p) for month, _, p in due})
    named = {(month, p): f"{month} {NAMES[p]}" for month, p in payees}
    lines = [
        row(
            "valuations",
            f"value-{m}",
            period=m,
            publisher_id=p,
            source_id=s,
            level="line",
            calibration="EVERYBODYQ",
        )
        for m, s, p in due
    ]
    totals = [
        row(
            "valuations",
            f"value-{m}",
            period=m,
            publisher_id=p,
            source_id=None,
            level="publisher",
            calibration="{}",
        )
        for m, p in payees
    ]
    versions = list(product((1, 2), payees))
    return {
        "valuations": totals + lines,
        "statements": [
            row("statements", f"settle-{m}-{v}", value_run=f"value-{m}", statement_id=named[m, p], period=m)
            | {"statement_version": v, "publisher_id": p, "json": named[m, p]}
            for v, (m, p) in versions
        ],
        "statement_lines": [
            row("statement_lines", f"settle-{m}-{v}", statement_id=named[m, p], line_id=f"{named[m, p]}:{s}")
            | {"period": m, "publisher_id": p, "source_id": s}
            for v, (m, s, p) in product((1, 2), due)
        ],
    }


def _name(source: str) -> str:
    return NAMES[PUBLISHER_OF.get(source, GAMMA)]
