"""Checks go on after a problem; problems become one error, and a single one stays as it was raised."""

import json

import pytest

from tribute.errors import CorpusError, MoneyError, RightsError, TributeError, itemised, joined
from tribute_jobs.checks import Checklist, CheckResult, Passed, print_results
from tribute_storage import LakeError


def failing(error: Exception):
    def check() -> Passed:
        raise error

    return check


def test_a_check_that_looked_at_nothing_has_no_result() -> None:
    checklist = Checklist()
    assert checklist.look("fees", lambda: None) and checklist.look("pools", lambda: Passed("10 EUR", ("much",)))
    assert checklist.results == [CheckResult("pools", True, "10 EUR", ("much",))]
    assert checklist.fine and checklist.warnings == ["much"]
    checklist.refuse("press")


def test_one_problem_is_raised_as_it_was() -> None:
    checklist, error = Checklist(), CorpusError("corpus.jsonl, row 1: no. Correct it")
    assert not checklist.look("corpus", failing(error)) and checklist.look("pools", lambda: Passed("1 EUR"))
    with pytest.raises(CorpusError) as raised:
        checklist.refuse("press")
    assert raised.value is error


def test_several_problems_are_one_error_with_a_line_each() -> None:
    checklist = Checklist()
    for name, error in (
        ("corpus", CorpusError("a")),
        ("rights", RightsError("b:\n  line 2, c")),
        ("lake", LakeError("d")),
    ):
        checklist.look(name, failing(error))
    with pytest.raises(TributeError) as raised:
        checklist.refuse("press")
    assert str(raised.value).split("\n") == [
        "press has 3 problems, and nothing was run:",
        "  corpus: a",
        "  rights: b:",
        "    line 2, c",
        "  lake: d",
    ]


def test_a_defect_is_no_problem_of_the_user() -> None:
    with pytest.raises(ZeroDivisionError):
        Checklist().look("pools", failing(ZeroDivisionError()))


def test_results_are_printed_with_every_line_and_every_warning(capsys: pytest.CaptureFixture[str]) -> None:
    results = [CheckResult("rights", False, "two:\n  line 2, a\n  line 3, b"), CheckResult("q", True, "x", ("y",))]
    print_results(results, False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["BAD", "rights", "two:"],
        ["line", "2,", "a"],
        ["line", "3,", "b"],
        ["ok", "q", "x"],
        ["note", "q", "y"],
    ]
    print_results(results, True)
    assert json.loads(capsys.readouterr().out)[1] == {"name": "q", "fine": True, "detail": "x", "warnings": ["y"]}


def test_most_problems_are_listed_and_the_others_counted() -> None:
    assert joined(["one"], "never shown") == "one"
    assert joined(["a", "b\nc"], "two:").split("\n") == ["two:", "  a", "  b", "  c"]
    assert itemised("three:", ["a", "b", "c"], most=2).split("\n") == ["three:", "  a", "  b", "  and 1 more"]
    assert isinstance(MoneyError(joined(["a"], "")), TributeError)
