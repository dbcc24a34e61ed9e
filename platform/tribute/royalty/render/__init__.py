"""Statements as people read them: HTML, PDF, text, CSV, XLSX.

Names are imported on first use, so a reader of one format loads no library of another.
"""

from typing import TYPE_CHECKING

from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute.royalty.render.comparison import comparison_text
    from tribute.royalty.render.csv_period import period_csv
    from tribute.royalty.render.html import render_html, render_report
    from tribute.royalty.render.pdf import render_pdf
    from tribute.royalty.render.text import render_text
    from tribute.royalty.render.xlsx import period_xlsx

__all__ = [
    "comparison_text",
    "period_csv",
    "period_xlsx",
    "render_html",
    "render_pdf",
    "render_report",
    "render_text",
]

__getattr__ = first_use(
    __name__,
    {
        "comparison": ["comparison_text"],
        "csv_period": ["period_csv"],
        "html": ["render_html", "render_report"],
        "pdf": ["render_pdf"],
        "text": ["render_text"],
        "xlsx": ["period_xlsx"],
    },
)
