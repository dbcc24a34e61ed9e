"""The plain-text statement; its whole text is recorded in tests/golden/statement_eur.txt."""

from tests.golden.statement_cases import settled
from tribute.royalty import render_text


def test_columns_are_aligned_and_the_total_is_theirs() -> None:
    text = render_text(settled("eur")[0]).splitlines()
    start = next(index for index, line in enumerate(text) if line.startswith("Source"))
    table = text[start : text.index("", start)]
    assert len({len(line) for line in table}) == 1
    assert [line.split()[0] for line in table] == ["Source", "aurora-docs", "atlas", "aurora-blog", "Total"]
    assert table[-1].endswith("8,333.33 EUR")


def test_a_statement_of_no_activity_says_so() -> None:
    assert "No activity" in render_text(settled("eur")[2] | {"lines": []})
