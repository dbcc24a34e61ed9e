"""Pages: self-contained, accessible, safe, and the same every time."""

import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from tests.statements import AURORA, RECOUNTED, account, alone, draft, drafts, revised, settled
from tribute.errors import MoneyError
from tribute.royalty.exact.findings import Finding
from tribute.royalty.render.chart import Bar, bar_chart
from tribute.royalty.render.html import render_html, render_report

STATEMENTS = drafts(main=1_000_000)
ALARM = Finding("top-share", "aurora", "Aurora has 79% of the <pool>.")
LINKS = {"aurora": "aurora.html"}
PAGES = {"statement": render_html(STATEMENTS[0]), "report": render_report(STATEMENTS, LINKS, [ALARM])}


class _Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.lines: list[str] = []
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._hidden = tag in ("style", "svg") or (self._hidden and tag not in ("main", "table"))

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._hidden:
            self.lines.append(" ".join(data.split()))


def text_of(page: str) -> str:
    return "\n".join(_Page(page).lines)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_fetched_and_nothing_runs(name: str) -> None:
    tags = _Page(PAGES[name]).found
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in tags}
    assert [a["src"] for _, a in tags if "src" in a] == []
    hrefs = [str(a.get("href") or a.get("xlink:href")) for _, a in tags if "href" in a or "xlink:href" in a]
    assert [href for href in hrefs if not href.startswith("#")] == (["aurora.html"] if name == "report" else [])
    assert set(re.findall(r"https?://[^\"' <]+", PAGES[name])) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in PAGES[name]
    assert re.findall(r"url\((?!#)", PAGES[name]) == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(name: str) -> None:
    tags = _Page(PAGES[name]).found
    assert ("html", {"lang": "en"}) in tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    [svg] = [attributes for tag, attributes in tags if tag == "svg"]
    assert svg["role"] == "img"
    assert set(str(svg["aria-labelledby"]).split()) <= set(ids)
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    assert sum(tag == "caption" for tag, _ in tags) == sum(tag == "table" for tag, _ in tags)


def test_the_same_statement_gives_the_same_bytes() -> None:
    assert render_html(STATEMENTS[0]) == PAGES["statement"]


def test_the_total_comes_first_then_why_how_sure_the_account_and_how() -> None:
    text = PAGES["statement"]
    parts = (
        'class="total">7,916.67 EUR',
        "Why this amount<",
        "How sure this is<",
        "Your account<",
        "How it was comp",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.parametrize("field", ["publisher_name", "model_id"])
def test_text_of_others_is_escaped(field: str) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=1>\u202e'
    page = render_html(draft(**{field: evil}))
    assert "<script" not in page and "<img" not in page and "\u202e" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("field", ["source_id", "title", "license"])
def test_text_on_lines_is_escaped_also_in_the_picture(field: str) -> None:
    written = alone(AURORA, 99, pool="<i>main")
    evil = "</svg></title><script>alert(1)</script>"
    page = render_html(revised(written, {f"lines.0.{field}": evil, "policy.text": "<script>2</script>"}))
    assert "<script" not in page
    assert page.count("<svg") == page.count("</svg>") == 1


def test_a_statement_of_no_activity_says_so() -> None:
    idle = render_html(draft(lines=[], amount_minor=0, balance=account(0)))
    assert "No activity" in idle
    assert "<svg" not in idle
    assert "cannot be told from zero" in render_html(STATEMENTS[2])


def test_why_the_paid_amount_differs_stands_under_the_headline() -> None:
    page = render_html(draft(balance=account(791_667, advance_recouped_minor=700_000), status="final"))
    assert page.index('class="total">916.67 EUR') < page.index("repays your advance") < page.index("Why this")
    assert 'class="watermark"' not in page
    assert 'class="watermark"' in PAGES["statement"]


def test_the_report_ranks_publishers_per_currency_and_shows_pools_and_findings() -> None:
    page = render_report([*STATEMENTS, *drafts("JPY", asia=995)], LINKS, [ALARM])
    parts = ("10,000.00 EUR", "995 JPY", "Aurora has 79% of the &lt;pool&gt;.", "Aurora Press</a>",
             "Borealis &amp;", "Cassini", "Sum, EUR", "Sum, JPY", ">Pools<",
             "1,000.00 EUR of it is not attributed")  # fmt: skip
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert page.count('<tr><td class="n">1</td>') == 2


def test_the_report_of_a_restated_period_pays_nobody() -> None:
    text = text_of(render_report(settled("2026-11", values=RECOUNTED, version=2)))
    assert "is allocated to 4 publishers, counted again. This version by itself pays nothing" in text
    assert "paid out" not in text and "7,200.00 EUR" in text
    [aurora] = re.findall(r"Aurora Press\n7,200\.00 EUR\n72\.0000%\n(.*)\n(.*)\n", text)
    assert aurora == ("0.00 EUR", "0.00 EUR"), "paid and closing"


def test_a_report_without_findings_says_so_and_one_that_does_not_foot_is_not_made() -> None:
    assert "no alarm was raised" in render_report(STATEMENTS)
    with pytest.raises(MoneyError, match="pool main"):
        render_report(STATEMENTS[1:])
    with pytest.raises(MoneyError, match="does not add up"):
        render_html(draft(amount_minor=1))


def test_three_hundred_lines_have_a_picture_of_the_first() -> None:
    sources = tuple((f"source-{n:03}", f"{300 - n}", "1.5", 5) for n in range(300))
    many = alone(sources, 10**6 + 9, "KWD")
    page = render_html(many)
    assert page.count('<th scope="row">source-') == 300
    assert "276 more are in the table" in page


def test_a_chart_draws_the_first_bars_and_counts_the_rest() -> None:
    bar = Bar("a $x$ b", Decimal(3), Decimal(1), Decimal(4))
    svg = bar_chart([bar] * 30, "Title", "name")
    assert svg.count(">a $x$ b</text>") == 24
    assert "6 more are in the table" in svg


def test_pages_say_nothing_twice_and_no_word_of_machines() -> None:
    """A pool that is called pool, a licence that nobody stated, and what to look at once a month is closed."""
    unlicensed = revised(STATEMENTS[0], {"lines.0.license": "NOASSERTION", "lines.1.license": None})
    own = [
        revised(each, {"pools.0.pool_id": "pool"} | {f"lines.{n}.pool_id": "pool" for n in range(len(each.lines))})
        for each in drafts(main=1_000_000)
    ]
    final = [revised(each, {"status": "final"}) for each in own]
    page, report = text_of(render_html(unlicensed)), text_of(render_report(final, LINKS, [ALARM]))
    assert "NOASSERTION" not in page and "MIT" not in page.partition("atlas")[0]
    assert "Pool pool" not in text_of(render_html(own[0])) + report
    assert "What was flagged before closing" in report and "To look at before closing" not in report
    assert "To look at before closing" in text_of(PAGES["report"])
