"""Equal content has equal text."""

import pytest

from tribute.errors import MoneyError
from tribute.royalty.exact.canonical import canonical_json


def test_keys_are_sorted_and_text_is_utf8() -> None:
    assert canonical_json({"b": [1, None, True], "a": {"ö": "ü"}}) == '{"a":{"ö":"ü"},"b":[1,null,true]}'.encode()


def test_a_float_is_refused_with_its_place() -> None:
    with pytest.raises(MoneyError, match=r"statement\.lines\[1\]\.amount is a float \(0\.5\)"):
        canonical_json({"lines": [{}, {"amount": 0.5}]})
    with pytest.raises(MoneyError, match=r"statement\.lines\[2\] is a float \(1\.0\)"):
        canonical_json({"lines": [1, {}, 1.0]})
    with pytest.raises(MoneyError, match="Keys are text"):
        canonical_json({"lines": {1: "x"}})  # type: ignore[dict-item]
    with pytest.raises(MoneyError, match=r"statement\.a is a tuple"):
        canonical_json({"a": (1,)})


def test_kinds_of_text_and_number_are_text_and_number() -> None:
    class Name(str):
        """As pyarrow or a YAML reader may give it."""

    assert canonical_json({"a": [Name("b")]}) == b'{"a":["b"]}'


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(MoneyError, match="surrogate"):
        canonical_json({"a": "\ud800"})
