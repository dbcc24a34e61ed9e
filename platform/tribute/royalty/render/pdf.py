"""A statement as a PDF on A4: the page's order and sentences, fonts embedded, the same bytes every time."""

import io
from collections.abc import Iterable
from functools import partial
from threading import Lock

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, HRFlowable, KeepTogether, SimpleDocTemplate, Spacer

from tribute.royalty.document import Statement
from tribute.royalty.exact.text import one_line
from tribute.royalty.render import wording
from tribute.royalty.render.account import account_rows, why_paid_differs
from tribute.royalty.render.chart import SHOWN
from tribute.royalty.render.pdf_fonts import BOLD, REGULAR, font_for, register
from tribute.royalty.render.pdf_parts import account_table, chart, line_table, paragraph, record_table
from tribute.royalty.render.record import records
from tribute.royalty.render.rows import nats_text, source_bars
from tribute.royalty.statement.balance_checks import check_statement

_MARGIN = 48
_WIDTH = 487
_ONE_AT_A_TIME = Lock()
"""reportlab's fonts, and their subsets while a document is written, belong to the process."""


def render_pdf(statement: Statement) -> bytes:
    """The total, why, how sure, the account, how it was computed; ids and page numbers at the foot of each page.

    Raises:
        MoneyError: the statement holds a float, or does not add up.
    """
    check_statement(statement)
    out = io.BytesIO()
    with _ONE_AT_A_TIME:
        register()
        document = SimpleDocTemplate(
            out, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN,
            bottomMargin=_MARGIN + 12,
            title=f"Royalty statement for {wording.name(statement)}, {wording.month(statement)}",
            author=one_line(statement.model_id), subject=statement.statement_id, lang="en", invariant=1,
        )  # fmt: skip
        document.build(
            _story(statement),
            onFirstPage=partial(_watermark, statement.status),
            onLaterPages=partial(_watermark, statement.status),
            canvasmaker=partial(_Pages, statement),
        )
    return out.getvalue()


def _story(s: Statement) -> list[Flowable]:
    status = f"{s.period_start} to {s.period_end} · model {one_line(s.model_id)} · {s.status}"
    return [
        paragraph(f"Royalty statement for {wording.name(s)}", "title"),
        paragraph(status, "quiet"),
        paragraph(wording.total(s), "total"),
        paragraph(wording.lead(s), "lead"),
        *_said([*wording.notices(s)], "notice"),
        *_said([wording.allocated(s), why_paid_differs(s)]),
        *_why(s),
        *_sure(s),
        *_account(s),
        *_computed(s),
    ]


def _said(texts: Iterable[str], style: str = "text") -> list[Flowable]:
    return [paragraph(text, style) for text in texts if text]


def _heading(text: str) -> list[Flowable]:
    line = HRFlowable(width="100%", thickness=1, color=HexColor("#d5dcdf"), spaceBefore=14, spaceAfter=8)
    return [CondPageBreak(110), line, paragraph(text, "heading")]


def _why(s: Statement) -> list[Flowable]:
    if not s.lines:
        return [*_heading("Why this amount"), *_said([wording.NO_ACTIVITY])]
    bars = source_bars(s)
    picture = [paragraph(wording.chart_caption(s), "text"), chart(bars, _WIDTH)] if bars else []
    undrawn = wording.UNDRAWN.format(SHOWN, len(bars) - SHOWN) if len(bars) > SHOWN else ""
    return [
        *_heading("Why this amount"),
        *_said([wording.worth(s)]),
        *picture,
        *_said([undrawn, wording.LINES], "note"),
        line_table(s, _WIDTH),
        Spacer(1, 6),
        *_said([wording.unattributed(s), wording.unit(s)], "note"),
    ]


def _sure(s: Statement) -> list[Flowable]:
    parts = wording.sure(s, nats_text(s))
    return [*_heading("How sure this is"), *_said(parts[:1]), *_said([*parts[1:], wording.estimated(s)], "note"),
            *_said([wording.quality(s)])]  # fmt: skip


def _account(s: Statement) -> list[Flowable]:
    table = account_table(account_rows(s), _WIDTH)
    return [KeepTogether([*_heading("Your account"), paragraph(wording.account_caption(s), "note"), table])]


def _computed(s: Statement) -> list[Flowable]:
    table = record_table(records(s, nats_text(s)), _WIDTH)
    policy, note = _said([s.policy.text]), _said([wording.HASH_NOTE], "note")
    return [*_heading("How it was computed"), *policy, table, Spacer(1, 6), *note]


def _watermark(status: str, canvas: Canvas, _: object) -> None:
    """DRAFT across the page, under its text."""
    if status != "draft":
        return
    canvas.saveState()
    canvas.setFillColor(HexColor("#f8f3ea"))
    canvas.setFont(BOLD, 120)
    canvas.translate(A4[0] / 2, A4[1] / 2)
    canvas.rotate(50)
    canvas.drawCentredString(0, -40, "DRAFT")
    canvas.restoreState()


class _Pages(Canvas):
    """Writes the foot of each page when the number of pages is known."""

    def __init__(self, statement: Statement, *given: object, **named: object) -> None:
        super().__init__(*given, **named)
        self._statement = statement
        self._held: list[dict[str, object]] = []

    def showPage(self) -> None:
        """Keep the page for later."""
        self._held.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Finish every page, then the file."""
        for number, page in enumerate(self._held, 1):
            self.__dict__.update(page)
            self._foot(f"Page {number} of {len(self._held)}")
            super().showPage()
        super().save()

    def _foot(self, page: str) -> None:
        identity = f"Statement {self._statement.statement_id}, {self._statement.status}"
        self.setFillColor(HexColor("#4d5a62"))
        self.setFont(font_for(identity), 8)
        self.drawString(_MARGIN + 6, 30, identity)
        self.setFont(REGULAR, 8)
        self.drawRightString(A4[0] - _MARGIN - 6, 30, page)
