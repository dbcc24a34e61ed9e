"""A comparison for a terminal: who got more or less, why, and which sources moved."""

from collections.abc import Callable, Sequence

from tribute.royalty.exact.money import Money
from tribute.royalty.statement.comparison import Comparison, LineMove

_SHOWN = 10


def comparison_text(comparison: Comparison) -> str:
    """Publishers with the parts of their change; lines that moved most, came and went, ten each; notes."""
    known = comparison.causes_known
    causes = (*(("usage", "measurements", "prior") if known else ("values",)), "terms", "rounding")
    rows: list[Sequence[str]] = [("Publisher", "Before", "After", "Change", *(name.title() for name in causes))]
    for move in comparison.publishers:
        changes = (move.change_minor, *(getattr(move, f"{cause}_minor") for cause in causes))
        amounts = [Money(minor, move.currency).text() for minor in (move.before_minor, move.after_minor)]
        rows.append((move.publisher_id, *amounts, *(_signed(minor, move.currency) for minor in changes)))
    appeared = [line for line in comparison.lines if line.before_minor is None]
    vanished = [line for line in comparison.lines if line.after_minor is None]
    moved = [line for line in comparison.lines if None not in (line.before_minor, line.after_minor)]
    return "\n".join(
        [
            f"From {comparison.before} to {comparison.after}",
            "",
            *_table(rows),
            *_section("Moved most", moved, lambda line: _signed(line.change_minor, line.currency)),
            *_section("Appeared", appeared, lambda line: Money(line.after_minor or 0, line.currency).text()),
            *_section("Vanished", vanished, lambda line: Money(line.before_minor or 0, line.currency).text()),
            *(["", "Notes", *(f"  {note}" for note in comparison.notes)] if comparison.notes else []),
            "",
        ]
    )


def _section(title: str, lines: Sequence[LineMove], amount: Callable[[LineMove], str]) -> list[str]:
    if not lines:
        return []
    rows = [(line.source_id or "(unattributed)", line.publisher_id, amount(line)) for line in lines[:_SHOWN]]
    rest = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return ["", title, *(f"  {row}" for row in _table(rows, texts=2)), *rest]


def _table(rows: Sequence[Sequence[str]], texts: int = 1) -> list[str]:
    """Columns of text to the left, of amounts to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < texts else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _signed(minor: int, currency: str) -> str:
    return f"{'+' if minor > 0 else '−' if minor < 0 else ''}{Money(abs(minor), currency).decimal():,f}"
