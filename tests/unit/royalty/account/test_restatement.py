"""Corrections that restated versions of closed periods leave, with guarantees; each is carried once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.statements import closed
from tribute.errors import MoneyError
from tribute.royalty.account.agreement import Agreement
from tribute.royalty.account.balance import balance, recounted
from tribute.royalty.account.restatement import by_publisher, closing_statements, owed
from tribute.royalty.document import AccountState, Adjustment, Statement
from tribute.royalty.exact.calendar import month_after

Told = tuple[Statement, str | None]
KEY = ("a", "EUR")
MONTHLY = Agreement("a", "EUR", guarantee_minor=100)
QUARTERLY = replace(MONTHLY, accounting_period="quarter")


def told(
    period: str,
    version: int,
    earned: int,
    terms: Agreement = MONTHLY,
    opening: AccountState | None = None,
    carries: Sequence[Adjustment] = (),
) -> Told:
    """A final statement, accounted for by `balance`, with the reason of its version."""
    moved = balance(terms, opening or AccountState(), period, earned, carries)
    statement = closed(terms, period, version, moved if version == 1 else recounted(terms, earned))
    return statement, f"to version {version}" if version > 1 else None


def following(final: Sequence[Told]) -> dict[tuple[str, str], list[Adjustment]]:
    """What the month after the last closed one carries."""
    return owed(final, month_after(max(statement.period for statement, _ in final)))


def amounts(final: Sequence[Told]) -> list[int]:
    return [each.amount_minor for each in following(final).get(KEY, [])]


def left(one: Told) -> AccountState:
    return one[0].balance.account


def test_differences_of_what_was_earned_become_adjustments() -> None:
    others = [Agreement(*key) for key in (("a", "EUR"), ("b", "EUR"), ("gone", "EUR"), ("a", "JPY"))]
    before = [told("2026-09", 1, earned, terms) for terms, earned in zip(others, (100, 50, 7, 9), strict=True)]
    others[2] = Agreement("new", "EUR")
    after = [told("2026-09", 2, earned, terms) for terms, earned in zip(others, (90, 50, 17, 12), strict=True)]
    assert following(before) == {}
    assert following(before + after) == {
        ("a", "EUR"): [
            Adjustment(reason="to version 2", adjusts_statement_id="demo-2026-09-a-EUR-v1", amount_minor=-10)
        ],
        ("a", "JPY"): [
            Adjustment(reason="to version 2", adjusts_statement_id="demo-2026-09-a-JPY-v1", amount_minor=3)
        ],
        ("gone", "EUR"): [
            Adjustment(reason="to version 2", adjusts_statement_id="demo-2026-09-gone-EUR-v1", amount_minor=-7)
        ],
        ("new", "EUR"): [
            Adjustment(reason="to version 2", adjusts_statement_id="demo-2026-09-new-EUR-v2", amount_minor=17)
        ],
    }


@pytest.mark.parametrize(
    ("versions", "moved"),
    [
        ((60, 90), []),
        ((60, 30), []),
        ((60, 130), [30]),
        ((130, 60), [-30]),
        ((60, 30, 150), [50]),
        ((120, 150, 60), [30, -50]),
    ],
)
def test_an_adjustment_of_a_closed_accounting_period_counts_its_guarantee(
    versions: tuple[int, ...], moved: list[int]
) -> None:
    """100 is guaranteed each month: 60 earned was topped up by 40, and 90 would have been by 10."""
    assert amounts([told("2026-09", number, earned) for number, earned in enumerate(versions, 1)]) == moved


def test_a_month_of_a_running_quarter_is_adjusted_by_all_and_tops_up_less_later() -> None:
    """January 20, restated to 50, February 10: +30 in February. March 5: 100 - 20 - 10 - 30 - 5 = 35 topped up."""
    final = [told("2026-01", 1, 20, QUARTERLY), told("2026-01", 2, 50, QUARTERLY)]
    carries = following(final)[KEY]
    assert carries == [
        Adjustment(
            reason="to version 2", adjusts_statement_id="demo-2026-01-a-EUR-v1", amount_minor=30, running=True
        )
    ]
    final.append(told("2026-02", 1, 10, QUARTERLY, left(final[0]), carries))
    assert (amounts(final), left(final[-1]).earned_minor) == ([], 60)
    final.append(told("2026-03", 1, 5, QUARTERLY, left(final[-1])))
    assert final[-1][0].balance.minimum_guarantee_shortfall_minor == 35
    assert final[-1][0].balance.amount_paid_minor == 100
    assert amounts(final) == []


def test_a_month_of_a_closed_quarter_is_adjusted_less_what_was_topped_up() -> None:
    """20 + 10 + 5 were topped up to 100. January at 90 makes 105: 5 more. February at 0 takes them back."""
    final = [told("2026-01", 1, 20, QUARTERLY)]
    for period, earned in (("2026-02", 10), ("2026-03", 5)):
        final.append(told(period, 1, earned, QUARTERLY, left(final[-1])))
    final.append(told("2026-01", 2, 90, QUARTERLY))
    carries = following(final)[KEY]
    assert carries == [
        Adjustment(reason="to version 2", adjusts_statement_id="demo-2026-01-a-EUR-v1", amount_minor=5)
    ]
    final.append(told("2026-04", 1, 0, QUARTERLY, None, carries))
    assert left(final[-1]).earned_minor == 0, "the next quarter's guarantee does not count it"
    final.append(told("2026-02", 2, 0, QUARTERLY))
    assert following(final)[KEY] == [
        Adjustment(reason="to version 2", adjusts_statement_id="demo-2026-02-a-EUR-v1", amount_minor=-5)
    ]


OTHER = replace(MONTHLY, publisher_id="b")


def test_a_correction_of_a_quarter_that_is_over_leaves_the_guarantee_of_this_one_alone() -> None:
    """A publisher only of November's second version: 100 of that quarter in February, and 100 of this in March."""
    others = [told(period, 1, 5, OTHER) for period in ("2025-11", "2025-12", "2026-01")]
    final = [*others, told("2025-11", 2, 60, QUARTERLY)]
    carries = owed(final, "2026-02")[KEY]
    assert carries == [
        Adjustment(reason="to version 2", adjusts_statement_id="demo-2025-11-a-EUR-v2", amount_minor=100)
    ]
    final.append(told("2026-02", 1, 0, QUARTERLY, None, carries))
    final.append(told("2026-03", 1, 0, QUARTERLY, left(final[-1])))
    assert final[-1][0].balance.minimum_guarantee_shortfall_minor == 100
    assert amounts(final) == []
    final.append(told("2025-11", 3, 120, QUARTERLY))
    assert following(final)[KEY] == [
        Adjustment(reason="to version 3", adjusts_statement_id="demo-2025-11-a-EUR-v2", amount_minor=20)
    ]


def test_a_month_without_a_statement_does_not_end_a_running_quarter() -> None:
    """January 60 by its second version, nothing in February: March carries 60 and tops up by 40."""
    others = [told(period, 1, 5, OTHER) for period in ("2026-01", "2026-02")]
    carries = owed([*others, told("2026-01", 2, 60, QUARTERLY)], "2026-03")[KEY]
    assert carries == [
        Adjustment(
            reason="to version 2", adjusts_statement_id="demo-2026-01-a-EUR-v2", amount_minor=60, running=True
        )
    ]
    march = told("2026-03", 1, 0, QUARTERLY, None, carries)[0].balance
    assert (march.minimum_guarantee_shortfall_minor, march.amount_paid_minor) == (40, 100)


def test_a_corrected_guarantee_is_owed_too() -> None:
    assert amounts([told("2026-09", 1, 60), told("2026-09", 2, 60, replace(MONTHLY, guarantee_minor=110))]) == [10]


def test_what_is_carried_is_not_owed_again_even_of_a_publisher_that_came_later() -> None:
    late = Agreement("late", "EUR")
    final = [told("2026-09", 1, 60), told("2026-09", 2, 150), told("2026-09", 2, 40, late)]
    carries = following(final)
    assert {key[0]: [each.amount_minor for each in moved] for key, moved in carries.items()} == {
        "a": [50],
        "late": [40],
    }
    final.append(told("2026-10", 1, 0, MONTHLY, None, carries["a", "EUR"]))
    final.append(told("2026-10", 1, 0, late, None, carries["late", "EUR"]))
    assert following(final) == {}
    final += [told("2026-09", 3, 110), told("2026-09", 3, 45, late)]
    assert amounts(final) == [-40]
    assert following(final)["late", "EUR"] == [
        Adjustment(reason="to version 3", adjusts_statement_id="demo-2026-09-late-EUR-v2", amount_minor=5)
    ]


def test_only_the_version_that_closed_a_period_was_paid() -> None:
    final = [told("2026-09", 2, 60), told("2026-09", 3, 150), told("2026-09", 3, 40, Agreement("b", "EUR"))]
    assert closing_statements(final) == [final[0][0]]


def test_what_is_no_restatement_is_refused() -> None:
    first, (second, _) = told("2026-09", 1, 1), told("2026-09", 2, 2)
    with pytest.raises(MoneyError, match="A restatement of 2026-09 has no reason"):
        following([first, (second, " ")])
    with pytest.raises(MoneyError, match="v1 and demo-2026-09-a-EUR-v1 are of one publisher and currency"):
        by_publisher([first[0], first[0].model_copy()])
