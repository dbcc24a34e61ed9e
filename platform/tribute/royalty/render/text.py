"""A statement for a terminal or a mail: the same order and sentences as the page, in plain text."""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

from tribute.royalty.document import Statement
from tribute.royalty.exact.text import one_line, short
from tribute.royalty.render import wording
from tribute.royalty.render.account import AccountRow, account_rows, why_paid_differs
from tribute.royalty.render.record import RecordRow, records
from tribute.royalty.render.rows import headings, line_rows, nats_text

_WIDTH = 100
_NAME = 34
_LABEL = 64


def render_text(statement: Statement) -> str:
    """The total, why, how sure, the account, and how it was computed, at most 100 columns wide where ids allow.

    Raises:
        MoneyError: the statement holds a float.
    """
    s = statement
    return "\n".join(
        [
            f"Royalty statement for {wording.name(s)}",
            f"{s.period_start} to {s.period_end}, model {one_line(s.model_id)}, {s.status}",
            "",
            f"  {wording.total(s)}",
            f"  {wording.lead(s)}",
            "",
            *_paragraphs([*wording.notices(s), wording.allocated(s), why_paid_differs(s)]),
            *_why(s),
            *_sure(s),
            *_heading("Your account"),
            *_account(account_rows(s)),
            "",
            *_heading("How it was computed"),
            *_paragraphs([s.policy.text]),
            *_records(records(s, nats_text(s))),
            "",
            *textwrap.wrap(wording.HASH_NOTE, _WIDTH),
            "",
        ]
    )


def _why(s: Statement) -> list[str]:
    if not s.lines:
        return [*_heading("Why this amount"), *_paragraphs([wording.NO_ACTIVITY])]
    return [
        *_heading("Why this amount"),
        *_paragraphs([wording.worth(s)]),
        *_table([headings(s), *(row.cells for row in line_rows(s))]),
        "",
        *_paragraphs([wording.unattributed(s), wording.unit(s)]),
    ]


def _sure(s: Statement) -> list[str]:
    return [*_heading("How sure this is"), *_paragraphs([*wording.sure(s, nats_text(s)), wording.quality(s)])]


def _heading(text: str) -> list[str]:
    return [text, "-" * len(text)]


def _paragraphs(texts: Iterable[str]) -> list[str]:
    """Each wrapped, an empty line after it; empty texts are left out."""
    return [line for text in texts if text for line in (*textwrap.wrap(text, _WIDTH), "")]


def _account(rows: Sequence[AccountRow]) -> list[str]:
    amounts = max(len(row.amount) for row in rows)
    lines = []
    for row in rows:
        label = f"({row.label})" if row.kind == "aside" else row.label
        first, *more = textwrap.wrap(label, _LABEL, subsequent_indent="  ")
        mark = "=" if row.kind == "result" else " "
        lines += [f"{mark} {_ljust(first, _LABEL)}  {row.amount.rjust(amounts)}", *(f"  {each}" for each in more)]
    return lines


def _records(rows: Sequence[RecordRow]) -> list[str]:
    lines = []
    for row in rows:
        text = ", ".join(part for part in (row.text, *row.codes) if part)
        wrapped = textwrap.wrap(text, _WIDTH - 21, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"{row.label[:19]:19}  {wrapped[0]}", *(f"{'':21}{each}" for each in wrapped[1:])]
    return lines


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right; long names keep their beginning and end."""
    cells = [[short(row[0], _NAME), *row[1:]] for row in rows]
    name, *widths = (max(_columns(row[at]) for row in cells) for at in range(len(cells[0])))
    return ["  ".join([_ljust(row[0], name), *map(str.rjust, row[1:], widths)]).rstrip() for row in cells]


def _ljust(text: str, width: int) -> str:
    return text + " " * (width - _columns(text))


def _columns(text: str) -> int:
    """Columns of a terminal: Chinese, Japanese and Korean characters take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(bool(unicodedata.combining(each)) for each in text)
