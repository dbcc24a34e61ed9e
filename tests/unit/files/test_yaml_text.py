"""YAML as written: no guess of another type, no doubled key, no document that takes for ever."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tribute.files import yaml_rows, yaml_value

GUESSED = [
    "010000", "0777", "0b11", "0o17", "0x1F", "1_000", "1_000.5", "12:30", "190:30:15", "1:30.5", "2026-10-01",
    "2026-10-01 12:00:00", "yes", "No", "on", "OFF", "y", "n", ".inf", "-.INF", ".nan", "+5", "1e1000", "=",
    "0.1e", "<<",
]  # fmt: skip


@pytest.mark.parametrize("written", GUESSED)
def test_what_yaml_1_1_reads_as_something_else_is_text(written: str) -> None:
    assert yaml_value(f"a: {written}".encode()) == {"a": written}
    assert yaml_rows(f"- {{id: {written}}}".encode()) == [{"id": written}]


@given(st.text("0123456789+-.,:_eExobnyYN~aft ", min_size=1, max_size=12).map(str.strip).filter(bool))
def test_a_plain_scalar_is_its_own_text_or_what_json_reads(written: str) -> None:
    try:
        value = yaml_value(f"- {written}".encode())[0]
    except ValueError:
        return
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert value == float(written)
        assert "_" not in written
        assert not written.lstrip("-").startswith(("00", "01"))
    elif isinstance(value, str):
        assert value == written
    else:
        assert written in ("~", "null", "true", "false") or isinstance(value, list | dict)


@given(st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_json_writes_them_are_numbers(number: float) -> None:
    read = yaml_value(json.dumps({"a": number}).encode())["a"]
    assert (read, type(read)) == (number, type(number))


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | st.integers(-99, 99),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
def test_json_is_read_as_json(value: object) -> None:
    assert yaml_value(json.dumps(value).encode()) == value


@given(TEXTS)
def test_quotes_make_text(text: str) -> None:
    assert yaml_value(yaml.safe_dump([text], default_style='"').encode()) == [text]
    assert yaml_value(yaml.safe_dump([text], default_style="'").encode()) == [text]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pool: 1\nname: x\npool: 2\n", "line 3: the key pool stands in line 1 already. Remove one of the two"),
        ("pool:\n  amount: 1\n  amount: 2\n", "line 3: the key amount stands in line 2"),
        ("a: [{b: 1, b: 1}]", "line 1: the key b stands in line 1"),
        ("a: 1\n'a': 2", "line 2: the key a"),
        ("a: &x 5\nb: *x", "line 2: the alias *x"),
        ("a: !!int '010'", "line 1: the tag"),
        ("a: !!python/object:os.system x", "line 1: the tag"),
        ("? [1]\n: 2", "line 1: a key is a list"),
        ("a: 1e400", "too long or too large"),
        ("a: " + "9" * 5000, "the number 999999999999... is too long"),
        ("a: [", "line 1: "),
        ("a: 1\n---\nb: 2", "another document"),
        ("[" * 5000, "nested too deeply"),
        ("a: \x00", "not allowed"),
    ],
)
def test_what_could_be_read_in_two_ways_or_never_is_refused_by_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        yaml_value(text.encode())
    assert told in str(raised.value)
    assert len(str(raised.value)) < 200


def test_utf_16_with_its_mark_is_read_and_another_encoding_refused() -> None:
    assert yaml_value("a: ü".encode("utf-16")) == yaml_value("\ufeffa: ü".encode()) == {"a": "ü"}
    with pytest.raises(ValueError, match=r"line 2: byte 0xfc is not UTF-8. Save it as UTF-8"):
        yaml_value("a: 1\nb: ü".encode("cp1252"))


def test_rows_are_text_and_nothing_else() -> None:
    text = b"- {a: 1.50, b: '', c: null, d: 'null', e: true}\n- {a: ~}"
    assert yaml_rows(text) == [{"a": "1.50", "b": "", "c": None, "d": "null", "e": "true"}, {"a": None}]
    assert yaml_rows(b"") == []
    for bad in (b"a: 1", b"- 1", b"- {a: [1]}", b"- {a: {b: 1}}"):
        with pytest.raises(ValueError, match=r"list of mappings|several values"):
            yaml_rows(bad)


def test_characters_escaped_as_json_does_are_whole() -> None:
    content = json.dumps({"name": "𝔘 and 🗞️", "𝔘": 1}).encode()
    assert yaml_value(content) == {"name": "𝔘 and 🗞️", "𝔘": 1}
    assert yaml_rows(b"- " + content) == [{"name": "𝔘 and 🗞️", "𝔘": "1"}]


@pytest.mark.parametrize("text", [r"\ud800", r"a\udc00b", r"\udd18\ud835"])
def test_half_a_character_is_refused_by_its_line(text: str) -> None:
    with pytest.raises(ValueError, match="line 2: a text holds half a character"):
        yaml_value(f'a: 1\nb: "{text}"'.encode())
