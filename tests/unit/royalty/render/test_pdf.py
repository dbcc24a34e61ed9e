"""The PDF, read back by pypdf: the page's content and order, embedded fonts, the same bytes."""

import io
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from pypdf import PdfReader

from tests.statements import AURORA, account, alone, draft, drafts, revised
from tribute.errors import MoneyError
from tribute.royalty.document import Statement
from tribute.royalty.render.pdf import render_pdf

PARTS = ("7,916.67 EUR", "Why this amount", "How sure this is", "Your account", "How it was computed", "SHA-256")


def reader(s: Statement) -> PdfReader:
    return PdfReader(io.BytesIO(render_pdf(s)))


def text_of(s: Statement) -> str:
    return "\n".join(page.extract_text() for page in reader(s).pages)


def many(count: int) -> Statement:
    sources = tuple((f"източник-{n:03} Ωμέγα", f"{count - n}", "1.5", 1_000 + n) for n in range(count))
    return alone(sources, 10_000_000, "KWD")


def test_the_order_is_that_of_the_page() -> None:
    text = text_of(draft())
    places = [text.index(part) for part in PARTS]
    assert places == sorted(places)
    for part in ("aurora-blog", "−3.75 to −0.75", "Not attributed", "value in the period, nats", "Paid to you"):
        assert part in text


def test_the_same_statement_gives_the_same_bytes_also_at_once() -> None:
    first = render_pdf(draft())
    with ThreadPoolExecutor(4) as pool_of_threads:
        assert set(pool_of_threads.map(lambda _: render_pdf(draft()), range(4))) == {first}
    assert b"20000101" in first  # reportlab's invariant date


def test_it_is_a4_with_its_fonts_inside_and_says_what_it_is() -> None:
    made = reader(draft())
    assert made.metadata.title == "Royalty statement for Aurora Press, December 2026"
    assert [round(float(size)) for size in made.pages[0].mediabox[2:]] == [595, 842]
    every = [font.get_object() for page in made.pages for font in page["/Resources"]["/Font"].values()]
    fonts = {font["/BaseFont"]: font for font in every}
    carried = {name for name, font in fonts.items() if "/FontFile2" in font.get("/FontDescriptor", {})}
    names = {re.sub(r"^/\w+\+", "", name) for name in carried}
    assert names == {
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSansMono",
    }
    assert not [page for page in made.pages if page.images]


def test_three_hundred_lines_repeat_their_heading_and_every_page_has_a_foot() -> None:
    pages = [page.extract_text() for page in reader(many(300)).pages]
    tables = [page for page in pages if "източник-" in page and "95% interval" in page]
    assert len(tables) > 5
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Statement demo-2026-12-aurora-KWD-v1, draft" in page
    for n in (0, 150, 299):
        assert f"източник-{n:03} Ωμέγα" in "".join(pages)
    assert "276 more are in the table" in pages[0]


def test_only_a_draft_is_marked_across_the_page() -> None:
    assert "DRAFT" in text_of(draft())
    assert "DRAFT" not in text_of(draft(status="final"))


@pytest.mark.parametrize("name", ["<b>x</b> & <font size=99>", "Ελλάς Русь Łódź", "A\x00\x1b\nB", "x" * 400, ""])
def test_names_are_text(name: str) -> None:
    sources = ((name or "y", "1", "0.5", 5), *AURORA[1:])
    odd = alone(sources, 99, "JPY")
    odd = revised(odd, {"publisher_name": name})
    text = re.sub(r"\s", "", text_of(odd))
    assert re.sub(r"[\s\x00\x1b]", "", name) in text


def test_chinese_japanese_and_korean_have_a_font() -> None:
    made = reader(draft(publisher_name="出版社 かな 한국"))
    fonts = {str(font["/BaseFont"]) for font in made.pages[0]["/Resources"]["/Font"].values()}
    assert {"STSong-Light", "HeiseiKakuGo-W5", "HYGothic-Medium"} <= {
        "-".join(name[1:].split("-")[:2]) for name in fonts
    }


@pytest.mark.parametrize(
    "odd",
    [
        draft(lines=[], amount_minor=0, balance=account(0)),
        alone((("a", "-1", "0.5", 5),), 99, "JPY"),
        alone((("a", "0", "0", 5),), 0),
        alone((("a", "0.000000001", "0", 5),), 10**18, "KWD"),
        drafts(main=100, licences=7)[1],
    ],
    ids=["idle", "negative", "nothing", "extremes", "two pools"],
)
def test_odd_statements_have_a_page(odd: Statement) -> None:
    assert "Closing balance" in text_of(odd)


def test_what_does_not_add_up_is_not_rendered() -> None:
    with pytest.raises(MoneyError, match="does not add up"):
        render_pdf(draft(amount_minor=1))
