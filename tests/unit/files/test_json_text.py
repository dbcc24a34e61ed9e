"""JSON as written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribute.files import json_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_every_value_is_read_back(value: object) -> None:
    assert json_value(json.dumps(value)) == value


@given(st.text(max_size=5), VALUES, VALUES)
def test_a_key_that_stands_twice_is_refused_at_any_depth(key: str, one: object, other: object) -> None:
    name = json.dumps(key)
    with pytest.raises(ValueError, match=r"stands twice. Remove one of the two"):
        json_value(f'[{{"a": {{{name}: {json.dumps(one)}, {name}: {json.dumps(other)}}}}}]')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ('{"a": NaN}', "NaN is not a number in JSON"),
        ('{"a": -Infinity}', "-Infinity is not a number in JSON"),
        ('{"a": 1_000}', "not JSON"),
        ('{"a": 010}', "not JSON"),
        ("9" * 5000, "a number has more than 4,300 digits. Write it as text"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_what_is_not_json_is_refused(text: str | bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        json_value(text)
