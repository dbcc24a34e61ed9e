"""Paragraphs, tables and chart of the PDF. Cells wrap; a table over several pages repeats its heading."""

from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Paragraph, Table

from tribute.royalty.document import Statement
from tribute.royalty.render.account import AccountRow
from tribute.royalty.render.chart import TEXT_SIZE, Bar, Block, Label, Stroke, bar_picture
from tribute.royalty.render.pdf_fonts import BOLD, MONO, REGULAR, font_for, marked_up
from tribute.royalty.render.record import RecordRow
from tribute.royalty.render.rows import LineRow, headings, line_rows

_INK, _QUIET, _LINE = HexColor("#1b2429"), HexColor("#4d5a62"), HexColor("#d5dcdf")
_TEXT = ParagraphStyle("text", fontName=REGULAR, fontSize=9, leading=13, textColor=_INK, spaceAfter=5)
_STYLES = {
    "text": _TEXT,
    "title": ParagraphStyle("title", _TEXT, fontName=BOLD, fontSize=12, leading=16, spaceAfter=2),
    "quiet": ParagraphStyle("quiet", _TEXT, textColor=_QUIET),
    "total": ParagraphStyle("total", _TEXT, fontName=BOLD, fontSize=28, leading=36, textColor=HexColor("#17566c")),
    "lead": ParagraphStyle("lead", _TEXT, fontSize=11, leading=15, spaceAfter=8),
    "heading": ParagraphStyle("heading", _TEXT, fontName=BOLD, fontSize=11, leading=15),
    "note": ParagraphStyle("note", _TEXT, fontSize=8, leading=11, textColor=_QUIET),
    "notice": ParagraphStyle("notice", _TEXT, backColor=HexColor("#fdf6e7"), borderPadding=6, leftIndent=6,
                             rightIndent=6, spaceBefore=6, spaceAfter=12),
    "cell": ParagraphStyle("cell", _TEXT, fontSize=8, leading=11, spaceAfter=0),
    "bold": ParagraphStyle("bold", _TEXT, fontName=BOLD, fontSize=8, leading=11, spaceAfter=0),
}  # fmt: skip
_RIGHT = {name: ParagraphStyle(f"{name}-right", _STYLES[name], alignment=TA_RIGHT) for name in ("cell", "bold")}
_SHORT = 17
"""Characters of a number that fit on one line, and are set faster than a paragraph."""
_PADDED = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 3), ("LEFTPADDING", (0, 0), (-1, -1), 4),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("LINEBELOW", (0, 0), (-1, -1), 1, _LINE), ("FONT", (0, 0), (-1, -1), REGULAR, 8, 11),
    ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
]  # fmt: skip


def paragraph(text: str, style: str) -> Paragraph:
    """Text in one of the statement's styles; nothing in it is read as markup."""
    return Paragraph(marked_up(text, _STYLES[style].fontName), _STYLES[style])


def line_table(s: Statement, width: int) -> Table:
    """The lines of a statement under a heading that is repeated on every page, the total last."""
    rows = line_rows(s)
    head = [paragraph(headings(s)[0], "bold"), *(_right(each, "bold") for each in headings(s)[1:])]
    cells = [head, *(_line(row, "cell") for row in rows[:-1]), _line(rows[-1], "bold")]
    others = (92, 44, 54, 92, 54, 50)
    rules = [("LINEBELOW", (0, 0), (-1, 0), 1, _INK), ("LINEABOVE", (0, -1), (-1, -1), 1, _INK)]
    numbers = [("ALIGN", (1, 0), (-1, -1), "RIGHT"), ("FONTNAME", (1, -1), (-1, -1), BOLD)]
    return Table(cells, colWidths=(width - sum(others), *others), repeatRows=1, style=_PADDED + numbers + rules)


def account_table(rows: Sequence[AccountRow], width: int) -> Table:
    """The account, its results in bold."""
    cells = []
    for row in rows:
        style = "bold" if row.kind == "result" else "cell"
        label = f"({row.label})" if row.kind == "aside" else row.label
        cells.append([paragraph(label, style), _right(row.amount, style)])
    results = [("LINEABOVE", (0, at), (-1, at), 1, _INK) for at, row in enumerate(rows) if row.kind == "result"]
    return Table(cells, colWidths=(width - 140, 140), style=_PADDED + results)


def record_table(rows: Sequence[RecordRow], width: int) -> Table:
    """Labels, words, and identifiers in a fixed-width type."""
    cells = []
    for row in rows:
        codes = "<br/>".join(f'<font face="{MONO}" size="7">{marked_up(code, MONO)}</font>' for code in row.codes)
        between = "<br/>" if row.text and codes else ""
        words = Paragraph(marked_up(row.text) + between + codes, _STYLES["cell"])
        cells.append([paragraph(row.label, "note"), words])
    return Table(cells, colWidths=(110, width - 110), style=_PADDED)


def _line(row: LineRow, style: str) -> list[Paragraph | str]:
    font = _STYLES[style].fontName
    small = f'<br/><font size="6.5" color="#4d5a62">{marked_up(row.small)}</font>' if row.small else ""
    name = Paragraph(marked_up(row.name, font) + small, _STYLES[style])
    return [name, *(cell if len(cell) <= _SHORT else _right(cell, style) for cell in row.cells[1:])]


def _right(text: str, style: str) -> Paragraph:
    return Paragraph(marked_up(text, _RIGHT[style].fontName), _RIGHT[style])


def chart(bars: Sequence[Bar], width: float) -> Drawing:
    """The chart of `bar_picture` as vectors and text; `width` in points."""
    picture = bar_picture(bars, width)
    drawing = Drawing(picture.width, picture.height)
    for mark in picture.marks:
        drawing.add(_shape(mark, picture.height))
    return drawing


def _shape(mark: Stroke | Block | Label, height: float) -> Line | Rect | String:
    """A mark of a picture of some height, with y upwards as in a PDF."""
    color = HexColor(mark.color)
    match mark:
        case Stroke(x1, y1, x2, y2):
            return Line(x1, height - y1, x2, height - y2, strokeColor=color, strokeWidth=mark.width)
        case Block(x, y, width, tall):
            return Rect(x, height - y - tall, width, tall, fillColor=color, strokeColor=None)
        case Label(x, y, text):
            font = font_for(text)
            return String(
                x, height - y, text, fontName=font, fontSize=TEXT_SIZE, fillColor=color, textAnchor=mark.anchor
            )
