"""Three settlements to the last byte. After an intended change: `python -m tests.golden.statement_cases`.

October 2026, three publishers: Aurora holds two sources and part of a third, Borealis the other part, and
Cassini's only source made the answers worse.
"""

from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tribute.royalty import (
    LineValue,
    PeriodFacts,
    PublisherValue,
    Quality,
    build_statements,
    canonical_json,
    parse_money,
    render_html,
    render_text,
)

HERE = Path(__file__).parent
CERTIFICATE = Quality("evaluate-0123456789ab", 32 * "ab", Decimal("0.087"), Decimal("0.931"))
POOLS = {"eur": ("10000.00", "EUR"), "jpy": ("1000001", "JPY"), "kwd": ("3210.987", "KWD")}


def line(source: str, value: str, margin: str, tokens: int, license: str = "MIT", **more: Any) -> LineValue:
    """A line whose interval is its value plus or minus a margin."""
    nats, width = Decimal(value), Decimal(margin)
    figures = (Decimal(more.pop("signed", value)), nats, nats - width, nats + width)
    return LineValue(source, more.pop("title", source), license, 264, *figures, tokens, **more)


def publishers() -> list[PublisherValue]:
    """Payable 41.25 + 8.25 + 0 nats: shares 5/6, 1/6 and 0."""
    aurora = (
        line("aurora-docs", "30.5", "4.25", 81_220, title="Aurora documentation", signed="31.75"),
        line("aurora-blog", "-2.25", "1.5", 9_100, "LicenseRef-Aurora"),
        line("atlas", "13", "2.125", 20_480, "CC-BY-4.0", split=Fraction(2, 3)),
    )
    borealis = (
        line("atlas", "6.5", "1.0625", 10_240, "CC-BY-4.0", split=Fraction(1, 3)),
        line("notes & <queries>", "1.75", "2", 4_096, "NOASSERTION"),
    )
    cassini = (line("cassini-forum", "-0.5", "0.75", 2_048, "Apache-2.0"),)
    figures = {
        "aurora": ("Aurora Press", Fraction(5, 6), "42.5", "41.25", "36", "46.5", aurora),
        "borealis": ("Borealis & Söhne", Fraction(1, 6), "8.25", "8.25", "5.5", "11", borealis),
        "cassini": ("Cassini", Fraction(0), "-0.5", "-0.5", "-1.25", "0.25", cassini),
    }
    return [
        PublisherValue(key, name, share, *map(Decimal, (signed, value, low, high)), lines=lines)
        for key, (name, share, signed, value, low, high, lines) in figures.items()
    ]


def settled(currency: str) -> list[dict[str, Any]]:
    """The three statements of a settlement in EUR, JPY or KWD."""
    facts = PeriodFacts(
        project="demo",
        period="2026-10",
        pool=parse_money(*POOLS[currency]),
        shrinkage=Decimal("0.25"),
        value_run="value-0123456789ab",
        simulate_run="simulate-0123456789ab",
        train_run="train-0123456789ab",
        quality=CERTIFICATE if currency == "eur" else None,
    )
    return build_statements(facts, publishers())


def json_text(currency: str) -> str:
    """Canonical JSON of each statement, a line each."""
    return "".join(canonical_json(statement).decode() + "\n" for statement in settled(currency))


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
    """Name and content of every golden file."""
    files = {f"statement_{currency}.json": json_text(currency) for currency in POOLS}
    first = settled("eur")[0]
    return files | {
        "statement_eur.html.txt": page_text(render_html(first)),
        "statement_eur.txt": render_text(first),
    }


if __name__ == "__main__":
    for name, content in expected_files().items():
        (HERE / name).write_text(content, encoding="utf-8")
