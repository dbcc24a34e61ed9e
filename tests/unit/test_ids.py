"""Ids of every script: what is one, which look alike, and what messages show of them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.ids import LONGEST_ID, SHOWN, checked_id, excerpt, listed, look_alikes

PRINTABLE = st.characters(exclude_categories=("Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Cf"))
ODD = [
    "AC/DC", "..", ".", "../../etc/passwd", "/etc/passwd", "C:\\temp\\x", "a\\b", "con", "NUL.txt", "lpt1", "-rf",
    "[bold]x[/]", "[/]", ":smile:", "$x_1$", "=1+1", "%2e%2e", "%", "a:b", "a*?b", "a|b", "<b>", '"',
    "~", "'", "東京", "e\u0301",
    "été.press", "🙂" * LONGEST_ID, "x" * LONGEST_ID, "/" * LONGEST_ID, "report", "new york: times",
    "a" * 181, "\u200ba",
]  # fmt: skip
IDS = st.one_of(st.sampled_from(ODD), st.text(PRINTABLE, min_size=1, max_size=LONGEST_ID).filter(str.strip))


@given(IDS)
def test_every_printable_text_is_an_id_in_one_form(text: str) -> None:
    try:
        name = checked_id(text)
    except ValueError as problem:
        assert "expected non-empty text" in str(problem) or "longer than" in str(problem)
        return
    assert name == unicodedata.normalize("NFC", text.strip()) == checked_id(name)
    assert checked_id(unicodedata.normalize("NFD", text)) == name


@pytest.mark.parametrize("text", ODD)
def test_odd_ids_are_ids(text: str) -> None:
    assert checked_id(f" {text} ") == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "is '', expected non-empty text"),
        (" \u00a0", "expected non-empty text"),
        ("\u200b\u00ad", "expected non-empty text"),
        ("a\tb", "holds U+0009 (control)"),
        ("a\nb", "holds U+000A"),
        ("a\0", "holds U+0000"),
        ("a\x1b[31m", "holds U+001B"),
        ("a\u202eb", "holds U+202E (right-to-left override)"),
        ("a\u2066b", "holds U+2066 (left-to-right isolate)"),
        ("a\u200fb", "holds U+200F (right-to-left mark)"),
        ("a\u2028b", "holds U+2028"),
        ("a\ud800", "holds U+D800 (half a character)"),
        ("a\ue000", "holds U+E000"),
        ("a\uffff", "holds U+FFFF"),
        ("x" * 1025, "longer than 1,024 characters"),
        (7, "is 7, expected text"),
        (None, "is None, expected text"),
        (b"a", "is b'a', expected text"),
    ],
)
def test_what_is_no_id_is_told(value: object, told: str) -> None:
    with pytest.raises(ValueError) as raised:
        checked_id(value)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mike-Bayer", "mike-bayer"), ("STRASSE", "straße"), ("cafe\u0301", "caf\u00e9"), ("a\u200bb", "ab"),
        ("p\u0430ypal", "paypal"), ("\u041c\u0422\u0421", "MTC"), ("\u0421НАNEL", "CHANEL"), ("Οmega", "Omega"),
        ("a\u2013b", "a-b"), ("O\u2019Reilly", "O'Reilly"), ("ﬁn", "fin"), ("ａｂ", "ab"), ("a  b", "a b"),
        ("a\u00a0b", "a b"), ("so\u00adft", "soft"), ("a\ufe0f", "a"), ("ı", "i"), ("МТС", "мтс"),
    ],
)  # fmt: skip
def test_ids_that_look_alike_are_found(one: str, other: str) -> None:
    assert look_alikes([one, "between", other]) == [(one, other)]


def test_ids_that_differ_are_not() -> None:
    names = [
        "bill",
        "b1ll",
        "o",
        "0",
        "rn",
        "m",
        "cafe",
        "café",
        "a",
        "a-b",
        "ab",
        "a/b",
        "a.b",
        "東京",
        "京東",
        "мир",
    ]
    assert look_alikes(names) == []
    assert look_alikes(["a", "a"]) == []
    assert look_alikes(f"source-{number}" for number in range(2000)) == []


@given(st.one_of(st.text(), st.binary(), st.lists(st.text()), st.integers()))
def test_a_message_shows_little_of_what_others_wrote(value: object) -> None:
    text = excerpt(value)
    shown = text.partition("… (")[0]
    assert len(shown) <= SHOWN
    assert text == repr(value) or "… (" in text


def test_a_cut_value_says_its_kind_and_length() -> None:
    assert excerpt("x" * 263_381) == f"'{'x' * 79}… (str, 263,381 long)"
    assert excerpt([{"role": "user", "content": "secret " * 1000}]).endswith("… (list, 1 long)")
    assert listed([]) == "none"
    assert listed(["a" * 90, *"bcdefg"]) == f"{'a' * 39}…, b, c, d, e and 2 more"
