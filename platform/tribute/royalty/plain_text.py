"""A statement for a terminal or a mail: the same order as the page, in plain text."""

import textwrap
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tribute.royalty.canonical import statement_sha256
from tribute.royalty.exact_text import NatsText, plain

_WIDTH = 100


def render_text(statement: Mapping[str, Any]) -> str:
    """The total, why, how sure, and how it was computed, at most 100 characters wide where names allow.

    Raises:
        MoneyError: the statement holds a float.
    """
    s, pool, interval = statement, statement["pool"], statement["interval"]
    nats = NatsText(Decimal(each["value_nats"]) for each in (s, *s["lines"]))
    bounds = f"{nats(interval['ci_low_nats'])} to {nats(interval['ci_high_nats'])} nats (95% interval)"
    amounts = (
        f"; as an amount {interval['amount_low']} to {interval['amount_high']}" if "amount_low" in interval else ""
    )
    return "\n".join(
        [
            f"Royalty statement for {s['publisher_name']}",
            f"{s['period_start']} to {s['period_end']}, model {s['model_id']}, {s['status']}",
            "",
            f"  {s['amount']}  ({s['share_percent']}% of {pool['pool_amount']})",
            "",
            *(_table(s, nats) or ["No activity: none of your sources took part in this period."]),
            "",
            f"Value {nats(s['value_nats'])} nats; {bounds}{amounts}",
            *textwrap.wrap(_quality(s["quality_certificate"]), _WIDTH),
            "",
            *textwrap.wrap(s["policy"]["text"], _WIDTH),
            "",
            f"Basis {pool['allocation_basis']}, weight of training tokens {pool['shrinkage']}, share {s['share']}",
            f"Policy {s['policy']['name']} version {s['policy']['version']}, sha256 {s['policy']['sha256']}",
            f"Runs {s['value_run']}, {s['simulate_run']}, {s['train_run']}",
            f"Statement {s['statement_id']}, sha256 of its JSON {statement_sha256(s)}",
            "",
        ]
    )


def _quality(certificate: Mapping[str, str] | None) -> str:
    if certificate is None:
        return "No quality certificate: these values were not judged by retraining."
    wrong, held = (plain(100 * Decimal(certificate[name])) for name in ("misallocated_pool", "coverage_95"))
    return (
        f"Quality certificate {certificate['certificate_id']}: judged by retraining, {wrong}% of the pool goes to "
        f"another payee, and {held}% of the intervals hold."
    )


def _table(statement: Mapping[str, Any], nats: NatsText) -> list[str]:
    rows = [
        (line["source_id"], nats(line["value_nats"]), f"{line['tokens']:,}", line["amount"])
        for line in statement["lines"]
    ]
    if not rows:
        return []
    rows = [
        ("Source", "Value (nats)", "Tokens", "Amount"),
        *rows,
        ("Total", nats(statement["value_nats"]), "", statement["amount"]),
    ]
    name, *widths = (max(len(row[column]) for row in rows) for column in range(4))
    return [
        "  ".join([row[0].ljust(name), *(cell.rjust(width) for cell, width in zip(row[1:], widths, strict=True))])
        for row in rows
    ]
