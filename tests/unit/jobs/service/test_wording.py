"""How pages write amounts, parts and months."""

import pytest

from tribute_jobs.service.pages import wording
from tribute_jobs.service.views.figures import amount, sums


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1234567, "EUR", "12\u202f345.67\u00a0EUR"),
        (-5, "EUR", "\u22120.05\u00a0EUR"),
        (1000, "JPY", "1\u202f000\u00a0JPY"),
        (10**18, "KWD", "1\u202f000\u202f000\u202f000\u202f000\u202f000.000\u00a0KWD"),
    ],
)
def test_money_is_exact_and_no_line_breaks_it(minor: int, currency: str, text: str) -> None:
    assert wording.money(amount(minor, currency)) == text


def test_an_amount_for_programs_has_a_plain_minus() -> None:
    assert amount(-123456, "EUR").text == "-1,234.56 EUR"


def test_a_change_has_its_sign() -> None:
    signs = [wording.signed(amount(minor, "EUR"))[0] for minor in (1, -1, 0)]
    assert signs == ["+", "\u2212", "0"]


def test_currencies_are_summed_apart() -> None:
    found = sums([amount(10, "EUR"), amount(5, "JPY"), amount(7, "EUR")])
    assert [(each.minor, each.currency) for each in found] == [(17, "EUR"), (5, "JPY")]
    assert wording.moneys(found) == "0.17\u00a0EUR + 5\u00a0JPY"
    assert wording.moneys(()) == "nothing"


def test_zero_has_no_sign() -> None:
    assert wording.number(-0.0001, 1) == "0.0"
    assert wording.nats(-12.345, 1) == "\u221212.3"


def test_months_and_versions_are_words() -> None:
    assert wording.month("2026-10") == "October 2026"
    assert wording.version("2026-10 version 3 (final)") == "October 2026, version 3"
    assert wording.version("something else") == "something else"
