"""The rows and columns of every table that a publisher's file shows, and why. Nothing else is shown.

Conditions read temporary tables that `publish_rows` makes for one reader: `reader` (publisher_id), `mine`
(source_id), `held` (source_id, period), `sums` (run_id, source_id), and `asked`: the attributed queries with their
period and the id under which they are published. `t` is the table itself, `a` the query's row in `asked`.
"""

from collections.abc import Mapping
from typing import NamedTuple

ASKED = "JOIN asked a ON a.run_id = t.run_id AND a.query_id = t.query_id"


class PublishingRule(NamedTuple):
    """Which rows of a table a publisher sees.

    Attributes:
        rows: SQL condition on a row.
        reason: what that means and why, as the file's own comments say it.
        columns: SQL that replaces a column, and its meaning.
        join: what else the condition reads.
        examined: version of the table that this rule was written for; later columns stay empty.
    """

    rows: str
    reason: str
    columns: Mapping[str, tuple[str, str]] = {}
    join: str = ""
    examined: int = 1


NO_ROWS = "false"
OWN = "t.publisher_id IN (FROM reader)"
ALL_ROWS = "true"
SOURCE = "t.source_id IN (FROM mine)"
PSEUDONYM = ("a.published_id", "a pseudonym: ids of queries may name other publishers' sources, or customers")
OWN_NAME = "t.publisher IN (SELECT name FROM publishers WHERE publisher_id IN (FROM reader))"


def _empty(reason: str) -> tuple[str, str]:
    return "NULL", f"empty: {reason}"


RULES: dict[str, PublishingRule] = {
    "corpus_sources": PublishingRule(
        SOURCE,
        "sources in which the publisher holds a right",
        {
            "publisher": (
                f"CASE WHEN t.publisher IN (FROM reader) OR {OWN_NAME} THEN t.publisher END",
                "empty where it is not the reader's own name: a shared source may name another publisher",
            )
        },
        examined=2,
    ),
    "corpus_documents": PublishingRule(
        SOURCE, "documents of sources in which the publisher holds a right", examined=2
    ),
    "corpus_duplicates": PublishingRule(
        SOURCE,
        "what of the publisher's sources is credited elsewhere",
        {
            "credited_source_id": (
                "CASE WHEN t.credited_source_id IN (FROM mine) THEN t.credited_source_id END",
                "empty where it is another publisher's source; the operator can tell",
            )
        },
    ),
    "trajectories": PublishingRule(NO_ROWS, "no rows: trainings are of the operator's model as a whole"),
    "learning": PublishingRule(SOURCE, "what trainings learnt of sources in which the publisher holds a right"),
    "simulations": PublishingRule(
        f"{SOURCE} AND t.removed = [t.source_id]",
        "simulations of one source in which the publisher holds a right; groups name other sources",
        {
            "settings_json": _empty("free text of the operator's settings"),
            "artifact_uri": _empty("a place in the operator's working folder"),
        },
    ),
    "retrains": PublishingRule(NO_ROWS, "no rows: sets of sources, of several publishers"),
    "influence": PublishingRule(
        f"{SOURCE} AND (t.source_id, a.period) IN (FROM held)",
        "influences of a source in months in which the publisher holds a right in it",
        {"query_id": PSEUDONYM},
        ASKED,
    ),
    "influence_tokens": PublishingRule(
        NO_ROWS,
        "no rows: positions tell how long a customer's text is and where it speaks of what; the operator can tell",
    ),
    "predicted": PublishingRule(
        "(t.run_id, t.source_id) IN (FROM sums)",
        "sums of a source over months in all of which the publisher holds a right in it",
    ),
    "queries": PublishingRule(
        "(t.run_id, a.published_id) IN (SELECT DISTINCT run_id, query_id FROM file.history.influence)",
        "uses for which the table influence of this file has a row; not who asked, nor a trace of the text",
        {
            "query_id": PSEUDONYM,
            "customer_id": _empty("customers are the operator's"),
            "content_sha256": _empty("a hash confirms guesses of what a customer asked or a publisher wrote"),
        },
        ASKED,
    ),
    "usage_events": PublishingRule(NO_ROWS, "no rows: reports of customers' uses, with their text"),
    "estimates": PublishingRule(
        "(t.run_id, t.unit_id) IN (FROM sums)",
        "totals of a source over months in all of which the publisher holds a right in it; groups name others",
    ),
    "measurements": PublishingRule(NO_ROWS, "no rows: sets of sources, of several publishers"),
    "precisions": PublishingRule(ALL_ROWS, "all rows: how precise a month's values are, which names nobody"),
    "evaluations": PublishingRule(
        ALL_ROWS, "all rows: figures of a method over the whole corpus, which name nobody"
    ),
    "certificates": PublishingRule(
        ALL_ROWS,
        "all rows: statements name them",
        {"json": _empty("its effects and intervals name other sources and publishers")},
    ),
    "publishers": PublishingRule(OWN, "the publisher's own name"),
    "rights": PublishingRule(OWN, "the publisher's own rights; not who holds the rest of a source"),
    "valuations": PublishingRule(
        OWN,
        "the publisher's own total and lines",
        {"calibration": _empty("it names the sources that were left out of trainings")},
        examined=3,
    ),
    "statements": PublishingRule(OWN, "the publisher's own statements, every version as it was sent", examined=2),
    "statement_lines": PublishingRule(OWN, "lines of the publisher's own statements", examined=2),
    "settled_files": PublishingRule(NO_ROWS, "no rows: terms of other publishers, and what customers pay"),
    "projects": PublishingRule(NO_ROWS, "no rows: the name of the payer's own project"),
    "policies": PublishingRule(
        ALL_ROWS, "all rows: the rules that everybody is paid by, and why one was replaced"
    ),
    "ledger": PublishingRule(
        NO_ROWS,
        "no rows: the operator's books, whose hashes chain several publishers; accounts are on statements",
    ),
    "bundles": PublishingRule(
        ALL_ROWS,
        "all rows: roots and signatures, by which anybody checks a statement",
        {"artifact_uri": _empty("a place in the operator's working folder")},
    ),
    "reversals": PublishingRule(ALL_ROWS, "all rows: which statements are void, and why"),
    "disputes": PublishingRule(OWN, "disputes of the publisher's own statements"),
}

MONTHS = {
    "influence": "(t.run_id, t.query_id) IN (SELECT run_id, query_id FROM asked)",
    "predicted": "t.run_id IN (SELECT run_id FROM asked)",
    "estimates": "t.run_id IN (SELECT run_id FROM asked)",
}
"""Rows without a period belong to that of their queries; `asked` holds the queries of the published month."""
