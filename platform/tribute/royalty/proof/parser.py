"""Untrusted bytes to a typed document, or to findings."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tribute.errors import MoneyError
from tribute.royalty.document import Bundle, Statement
from tribute.royalty.document.kinds import Month, Nats, Ratio, Sha256, Signature
from tribute.royalty.proof.findings import OTHER_RELEASE, Problem, shown, within

Signed = TypeVar("Signed", Statement, Bundle)


def parse(
    content: bytes, model: type[Signed], max_bytes: int = 2**28, max_problems: int = 1_000
) -> Signed | list[Problem]:
    """The document that canonical JSON holds, or every reason why the bytes are not one.

    Of each list, only the first invalid item is examined.

    Canonical JSON is UTF-8 with sorted keys, each key once, no spaces and whole numbers only. A document has
    exactly one canonical form, so the bytes are compared with it.

    Args:
        max_bytes: longer content is not read.
        max_problems: more problems are counted, not listed.
    """
    if len(content) > max_bytes:
        return [Problem("document", f"has {len(content):,} bytes, expected at most {max_bytes:,}")]
    try:
        document = model.model_validate_json(content)
        expected = document.canonical()
    except ValidationError as error:
        return _schema_problems(error, max_problems)
    except MoneyError as error:
        return [Problem("document", f"cannot be written as canonical JSON: {error}")]
    return document if content == expected else [_not_canonical(content, expected)]


def _schema_problems(error: ValidationError, max_problems: int) -> list[Problem]:
    """All problems. If the file names another schema, that problem alone."""
    if error.error_count() > max_problems:
        text = f"does not fit the schema in {error.error_count():,} places. {OTHER_RELEASE}"
        return [Problem("document", text)]
    errors = error.errors(include_url=False)
    return [_problem(each) for each in errors if each["loc"] == ("schema",)] or [_problem(each) for each in errors]


def _problem(error: ErrorDetails) -> Problem:
    place, got, kind = _place(error["loc"]), error["input"], error["type"]
    if kind == "json_invalid":
        return Problem("document", f"is not JSON: {error['ctx']['error']}")
    if kind == "missing":
        return Problem(place, f"is missing. {OTHER_RELEASE}")
    if kind == "extra_forbidden":
        return Problem(place, f"is an unknown key. {OTHER_RELEASE}")
    if kind.startswith("union_tag") and isinstance(got, dict):
        place, got = within(place, "line_type"), got.get("line_type")
    message = f"is {_kind(got)}, expected {_expected(error)}"
    older = place.endswith("schema") and str(got).startswith("tribute.")
    return Problem(place, f"{message}. {OTHER_RELEASE}" if older else message)


def _place(location: Sequence[int | str]) -> str:
    """`statements[2].lines[0].amount_minor`, without the kind of line that pydantic names after `lines[0]`."""
    place, steps = "", list(location)
    for index, step in enumerate(steps):
        if isinstance(step, int):
            place = f"{place}[{step}]"
        elif not (index > 1 and steps[index - 2] == "lines" and isinstance(steps[index - 1], int)):
            place = within(place, shown(step))
    return place or "document"


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str | int | float):
        return shown(repr(value))
    return "a list" if isinstance(value, list) else "an object"


def _expected(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], "text of another form")
    for key, words in (("expected", ""), ("expected_tags", ""), ("ge", "at least "), ("gt", "more than ")):
        if key in context:
            return f"{words}{context[key]}"
    if "lt" in context:
        return f"less than {context['lt']}"
    return _KINDS.get(error["type"], error["msg"])


def _pattern(kind: Any) -> str:
    """The regular expression of a kind of text."""
    return next(each.pattern for each in get_args(kind)[1].metadata if hasattr(each, "pattern"))


_PATTERNS = {
    _pattern(Ratio): "a number as text, such as 0.25 or 1/4",
    _pattern(Nats): "a decimal number as text, such as -0.25",
    _pattern(Month): "a month such as 2026-10",
    _pattern(Sha256): "64 lower-case hexadecimal digits",
    _pattern(Signature): "128 lower-case hexadecimal digits",
}
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "none_required": "null",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "union_tag_not_found": "'source' or 'unattributed'",
}


def _not_canonical(content: bytes, expected: bytes) -> Problem:
    shorter = min(len(content), len(expected))
    offset = next((at for at in range(shorter) if content[at] != expected[at]), shorter)
    twice = sorted(set(_repeated_keys(content)))
    what = f"has the key {shown(twice[0])!r} twice" if twice else "is not canonical JSON (sorted keys, no spaces)"
    return Problem(
        "document", f"{what}: byte {offset} begins {content[offset:][:40]!r}, expected {expected[offset:][:40]!r}"
    )


def _repeated_keys(content: bytes) -> list[str]:
    twice: list[str] = []

    def collect(pairs: Iterable[tuple[str, Any]]) -> None:
        twice.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)

    json.loads(content, object_pairs_hook=collect)
    return twice
