"""One text for one content."""

import pytest

from tribute.errors import MoneyError
from tribute.royalty import canonical_json, statement_sha256


def test_keys_are_sorted_and_text_is_utf8() -> None:
    assert canonical_json({"b": [1, None, True], "a": {"ö": "ü"}}) == '{"a":{"ö":"ü"},"b":[1,null,true]}'.encode()
    assert statement_sha256({"a": 1, "b": 2}) == statement_sha256({"b": 2, "a": 1})


def test_a_float_is_refused_with_its_place() -> None:
    with pytest.raises(MoneyError, match=r"statement\.lines\[1\]\.amount is a float \(0\.5\)"):
        canonical_json({"lines": [{}, {"amount": 0.5}]})
    with pytest.raises(MoneyError, match="Keys are text"):
        canonical_json({"lines": {1: "x"}})  # type: ignore[dict-item]
