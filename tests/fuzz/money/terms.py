"""Agreements with publishers, right ones and broken ones."""

from tests.fuzz.chance import Chance
from tests.fuzz.money.files import OF_FILES, Cells, Spoil, again, last, renamed
from tests.fuzz.odd_ids import UNPRINTABLE

DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
FAULTS: dict[str, Spoil] = OF_FILES | {
    "a misspelt column": renamed("payout_threshold", "payout_treshold"),
    "a row twice": again,
    "another agreement at the same time": lambda rows: rows.append(rows[-1] | {"agreement_id": "another"}),
    "an unknown currency": last(currency="EURO"),
    "a small currency": last(currency="eur"),
    "gold": last(currency="XAU"),
    "an amount with commas": last(minimum_guarantee="1,000"),
    "an amount with a mark": last(payout_threshold="1_000"),
    "an amount with an exponent": last(payout_threshold="1e3"),
    "an amount below 0": last(minimum_guarantee="-5"),
    "an amount of too many decimals": last(minimum_guarantee="1.00001"),
    "an amount of no end": last(minimum_guarantee="9" * 60),
    "an amount that is not a number": last(payout_threshold="NaN"),
    "an amount with its currency": last(payout_threshold="10 EUR"),
    "a rate above 1": last(rate="1.2"),
    "a rate in percent": last(rate="15%"),
    "a rate that is text": last(withholding_rate="a tenth"),
    "a reserve without months": last(reserve_rate="0.1", reserve_months=""),
    "months with a fraction": last(reserve_rate="0.1", reserve_months="1.5"),
    "an advance without a month": last(advance="100", advance_period=""),
    "a month without an advance": last(advance="", advance_period="2026-10"),
    "an advance of no month": last(advance="100", advance_period="2026-13"),
    "an unknown accounting period": last(accounting_period="weekly"),
    "an agreement from the middle of a month": last(valid_from="2026-10-15"),
    "an agreement that ends before it begins": last(valid_from="2026-10-01", valid_to="2026-09-01"),
    "an unknown publisher": last(publisher_id="nobody at all"),
    "no publisher": last(publisher_id=" "),
    "an unprintable publisher": last(publisher_id=UNPRINTABLE["a line feed"]),
}
COLUMNS = (
    "publisher_id", "currency", "agreement_id", "rate", "advance", "advance_period", "minimum_guarantee",
    "payout_threshold", "reserve_rate", "reserve_months", "withholding_rate", "accounting_period", "valid_from",
    "valid_to",
)  # fmt: skip


def drawn_terms(chance: Chance, publisher: str, currency: str) -> Cells:
    """The terms of a publisher in a currency."""
    advance = chance.of(["", "1000", "12.5"[: None if DIGITS[currency] else 2]])
    reserve = chance.of(["", "0.1", "1/3"])
    return dict.fromkeys(COLUMNS, "") | {
        "publisher_id": publisher,
        "currency": currency,
        "rate": chance.of(["", "1", "0.75", "1/3", "0"]),
        "advance": advance,
        "advance_period": f"2026-{chance.whole(1, 12):02d}" if advance else "",
        "minimum_guarantee": chance.of(["", "0", "300", "00050"]),
        "payout_threshold": chance.of(["", "50", "1000000"]),
        "reserve_rate": reserve,
        "reserve_months": chance.of(["1", "2"]) if reserve else "",
        "withholding_rate": chance.of(["", "0.15", "1"]),
        "accounting_period": chance.of(["", "month", "quarter", "year"]),
    }
