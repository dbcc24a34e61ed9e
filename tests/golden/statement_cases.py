"""Statements to the last byte, a case a function. To renew them: `python -m tests.golden.statement_cases`.

November and December 2026, four publishers: Aurora holds two sources and part of a third, Borealis the other part,
Cassini's only source made the answers worse, Dahlia's is small. Payable are 40 + 8 + 0 + 2 = 50 nats, so that the
shares are 4/5, 4/25, 0 and 1/25, and the pool is (25,000.00 - 5,000.00) x 1/2 = 10,000.00 EUR each month.
"""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.statements import RECOUNTED, settled
from tribute.royalty.account import owed
from tribute.royalty.document import Statement
from tribute.royalty.render import render_html, render_text
from tribute.royalty.statement import Pool

HERE = Path(__file__).parent
ABROAD = (Pool("tokyo", "JPY", 1_000_001), Pool("gulf", "KWD", 3_210_987))
REASON = "The usage log of November held 400 answers twice"


def two_months(publisher: str) -> list[Statement]:
    """November and December of a publisher; the account of the first opens the second."""
    november = settled("2026-11")
    return [one for one in november + settled("2026-12", november) if one.publisher_id == publisher]


def advance() -> list[Statement]:
    """Aurora earns 8,000.00 twice. Of its advance of 10,000.00, November recoups 8,000.00 and pays nothing;
    December recoups 2,000.00, withholds 15% of 6,000.00, which is 900.00, and pays 5,100.00."""
    return two_months("aurora")


def guarantee() -> list[Statement]:
    """Borealis earns 3/4 of 1,600.00, 1,200.00, twice, and is paid at the end of the quarter: 2,400.00 and the
    600.00 that its guarantee of 3,000.00 lacks."""
    return two_months("borealis")


def threshold() -> list[Statement]:
    """Dahlia's 400.00 of November are below 500.00 and carried over; December pays 800.00."""
    return two_months("dahlia")


def negative() -> list[Statement]:
    """Cassini's source made the answers worse: it is paid nothing, owes nothing, and sees its value."""
    return two_months("cassini")


def restatement() -> list[Statement]:
    """November recounted: 36 + 12 + 0 + 2 nats. Of Aurora: the first and the second version of November, which
    earns 7,200.00, and December, which opens as the first version left it and carries -800.00: 8,000.00 - 800.00
    - 2,000.00 recouped = 5,200.00, less 780.00 of tax. Then December of Borealis, which carries
    3/4 x (2,400.00 - 1,600.00) = 600.00 for a month of its running quarter: 1,200.00 + 1,200.00 + 600.00 reach the
    guarantee of 3,000.00, so that nothing is topped up."""
    november = settled("2026-11")
    again = settled("2026-11", values=RECOUNTED, version=2)
    december = settled("2026-12", november, owed([(each, REASON) for each in november + again], "2026-12"))
    by_key = {(s.publisher_id, s.period, s.statement_version): s for s in november + again + december}
    told = [
        ("aurora", "2026-11", 1),
        ("aurora", "2026-11", 2),
        ("aurora", "2026-12", 1),
        ("borealis", "2026-12", 1),
    ]
    return [by_key[key] for key in told]


def jpy() -> list[Statement]:
    """1,000,001 yen: 800,000.8 + 160,000.16 + 40,000.04; one left over is for Aurora, whose 10% tax is 80,000."""
    return [one for one in settled("2026-11", pools=ABROAD) if one.currency == "JPY"]


def kwd() -> list[Statement]:
    """3,210.987 dinar: 2,568.7896 + 513.75792 + 128.43948; the two fils left over go to Borealis and Aurora."""
    return [one for one in settled("2026-11", pools=ABROAD) if one.currency == "KWD"]


CASES: dict[str, Callable[[], list[Statement]]] = {
    each.__name__: each for each in (advance, guarantee, threshold, negative, restatement, jpy, kwd)
}


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self._silent += tag in ("svg", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("svg", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.lines.append(" ".join(data.split()))


def page_text(page: str) -> str:
    """What a page says, without its picture: one run of text a line."""
    words = _Words()
    words.feed(page)
    return "\n".join(words.lines) + "\n"


def expected_files() -> dict[str, str]:
    """Name and content of every golden file: JSON with a statement a line, text, and one page's words."""
    files = {}
    for name, case in CASES.items():
        statements = case()
        files[f"{name}.json"] = "".join(each.canonical().decode() + "\n" for each in statements)
        files[f"{name}.txt"] = "\n".join(render_text(each) for each in statements)
    return files | {"restatement.html.txt": page_text(render_html(restatement()[2]))}


if __name__ == "__main__":
    for name, content in expected_files().items():
        (HERE / name).write_text(content, encoding="utf-8")
