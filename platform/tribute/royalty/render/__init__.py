"""Statements as people read them: HTML, PDF, text, CSV, XLSX, TSV."""

from tribute.royalty.render.comparison import comparison_text
from tribute.royalty.render.csv_period import period_csv
from tribute.royalty.render.html import render_html, render_report
from tribute.royalty.render.pdf import render_pdf
from tribute.royalty.render.text import render_text
from tribute.royalty.render.tsv_period import period_tsv
from tribute.royalty.render.xlsx import period_xlsx

__all__ = [
    "comparison_text",
    "period_csv",
    "period_tsv",
    "period_xlsx",
    "render_html",
    "render_pdf",
    "render_report",
    "render_text",
]
