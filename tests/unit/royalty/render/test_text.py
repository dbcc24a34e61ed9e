"""The plain-text statement: same sentences, aligned tables, and nothing that a terminal would obey."""

import pytest

from tests.statements import account, alone, draft
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import recounted
from tribute.royalty.render.text import render_text

PARTS = ("7,916.67 EUR", "Why this amount", "How sure this is", "Your account", "How it was computed")


def test_the_total_comes_first_then_why_how_sure_the_account_and_how() -> None:
    text = render_text(draft())
    places = [text.index(part) for part in PARTS]
    assert places == sorted(places)
    assert max(map(len, text.splitlines())) <= 100


def test_columns_are_aligned_and_the_total_is_theirs() -> None:
    text = render_text(draft()).splitlines()
    start = next(index for index, line in enumerate(text) if line.startswith("Source"))
    table = text[start : text.index("", start)]
    assert [line.split()[0] for line in table] == ["Source", "aurora-docs", "atlas", "aurora-blog", "Not", "Total"]
    ends = {line.index(" EUR") for line in table[1:]}
    assert len(ends) == 1
    assert "7,916.67 EUR" in table[-1]


def test_a_statement_of_no_activity_says_so_and_still_has_an_account() -> None:
    idle = draft(lines=[], amount_minor=0, balance=account(0, opening_balance_minor=100, pays=False))
    text = render_text(idle)
    assert "No activity" in text
    assert "Nothing is paid out for December 2026." in text
    assert "Closing balance, carried forward" in text


def test_no_name_can_break_a_line_or_colour_a_terminal() -> None:
    odd = draft(publisher_name="evil\x1b[2J\r\nPaid: 1,000,000 EUR", model_id="a\nb")
    text = render_text(odd)
    assert "\x1b" not in text
    assert text.splitlines()[0] == "Royalty statement for evil [2J  Paid: 1,000,000 EUR"


def test_wide_characters_and_long_names_keep_the_columns() -> None:
    names = ("出版社の資料", "x" * 90 + "-1", "x" * 90 + "-2")
    odd = alone(tuple((name, "1", "0.5", 5) for name in names), 99)
    rows = [line for line in render_text(odd).splitlines() if line.startswith(("出版", "xxx"))]
    assert rows[0] != rows[1]
    assert rows[0].index(" EUR") == rows[1].index(" EUR") == rows[2].index(" EUR") + 6


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "750,000 JPY"), ("KWD", "750.000 KWD")])
def test_currencies_have_their_own_digits(currency: str, amount: str) -> None:
    made = alone((("s", "1", "0.5", 5),), 750_000, currency)
    assert f"\n  {amount}\n" in render_text(made)


def test_a_correction_and_its_consequence_are_told() -> None:
    text = render_text(
        draft(status="final", statement_version=2, restates_statement_version=1, supersedes_statement_id="old-v1",
            balance=recounted(Agreement("aurora", "EUR"), 791_667))
    )  # fmt: skip
    assert "Version 2 of a closed period: this replaces statement old-v1." in text
    assert "7,916.67 EUR\n  is what you earned for December 2026, counted again." in text
    assert "= Paid by this statement" in text
    assert "advance" not in text and "Closing balance" not in text
    assert "Draft" not in text
