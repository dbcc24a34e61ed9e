"""Pages: self-contained, accessible, safe, and the same every time."""

import re
from decimal import Decimal
from html.parser import HTMLParser

import matplotlib as mpl
import pytest

from tests.golden.statement_cases import page_text, settled
from tribute.royalty import render_html, render_report
from tribute.royalty.charts import Bar, bar_chart

STATEMENTS = settled("eur")
PAGES = {"statement": render_html(STATEMENTS[0]), "report": render_report(STATEMENTS, {"aurora": "aurora.html"})}


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_fetched_and_nothing_runs(name: str) -> None:
    tags = _Tags(PAGES[name]).found
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in tags}
    assert [a["src"] for _, a in tags if "src" in a] == []
    hrefs = [str(a.get("href") or a.get("xlink:href")) for _, a in tags if "href" in a or "xlink:href" in a]
    assert [href for href in hrefs if not href.startswith("#")] == (["aurora.html"] if name == "report" else [])
    assert set(re.findall(r"https?://[^\"' <]+", PAGES[name])) == {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }
    assert "@import" not in PAGES[name]
    assert re.findall(r"url\((?!#)", PAGES[name]) == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(name: str) -> None:
    tags = _Tags(PAGES[name]).found
    assert ("html", {"lang": "en"}) in tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    [svg] = [attributes for tag, attributes in tags if tag == "svg"]
    assert svg["role"] == "img"
    assert set(str(svg["aria-labelledby"]).split()) <= set(ids)
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    assert sum(tag == "caption" for tag, _ in tags) == sum(tag == "table" for tag, _ in tags)


def test_the_same_statement_gives_the_same_bytes() -> None:
    """Also under settings of matplotlib that the process happens to have, which are left as they were."""
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "path"}):
        assert render_html(STATEMENTS[0]) == PAGES["statement"]
        assert mpl.rcParams["font.size"] == 30


def test_the_total_comes_first_then_why_then_how_sure() -> None:
    text = page_text(PAGES["statement"])
    places = [text.index(part) for part in ("\n8,333.33 EUR", "Why this", "How sure", "How it was")]
    assert places == sorted(places)


def test_text_of_others_is_escaped() -> None:
    page = render_html(STATEMENTS[1])
    assert "notes & <queries>" in page_text(page)
    assert "<queries>" not in page
    assert "Borealis &amp; Söhne" in page


def test_the_report_ranks_publishers_and_shows_the_pool() -> None:
    text = page_text(PAGES["report"])
    places = [
        text.index(part) for part in ("\n10,000.00 EUR", "Aurora Press", "Borealis & Söhne", "Cassini", "\nPool\n")
    ]
    assert places == sorted(places)


def test_a_statement_of_no_activity_says_so() -> None:
    idle = STATEMENTS[2] | {"lines": []}
    assert "No activity" in render_html(idle)
    assert "nothing is paid for this period" in page_text(render_html(STATEMENTS[2]))


def test_a_chart_draws_the_first_bars_and_counts_the_rest() -> None:
    bar = Bar("a $x$ b", Decimal(3), Decimal(1), Decimal(4))
    svg = bar_chart([bar] * 30, "Title", "name")
    assert svg.count(">a $x$ b</text>") == 24
    assert "6 more are in the table" in svg
