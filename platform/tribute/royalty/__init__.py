"""From shares to money: rights, exact settlement, statements and their renderings. No float decides an amount."""

from tribute.royalty.canonical import canonical_json, statement_sha256
from tribute.royalty.csv_export import period_csv
from tribute.royalty.footing import check_period
from tribute.royalty.money import Money, allocate, parse_money
from tribute.royalty.plain_text import render_text
from tribute.royalty.policy import ATTRIBUTION_CLIP_AGGREGATE, Policy
from tribute.royalty.rendering import render_html, render_report
from tribute.royalty.rights import Publisher, Right, RightsBook, rights_of_publishers
from tribute.royalty.rights_file import read_rights
from tribute.royalty.settlement import settle, split_lines
from tribute.royalty.statement import build_statement, build_statements
from tribute.royalty.valued import LineValue, PeriodFacts, PublisherValue, Quality

__all__ = [
    "ATTRIBUTION_CLIP_AGGREGATE",
    "LineValue",
    "Money",
    "PeriodFacts",
    "Policy",
    "Publisher",
    "PublisherValue",
    "Quality",
    "Right",
    "RightsBook",
    "allocate",
    "build_statement",
    "build_statements",
    "canonical_json",
    "check_period",
    "parse_money",
    "period_csv",
    "read_rights",
    "render_html",
    "render_report",
    "render_text",
    "rights_of_publishers",
    "settle",
    "split_lines",
    "statement_sha256",
]
