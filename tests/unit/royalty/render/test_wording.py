"""Sentences of statements."""

from typing import Any

import pytest

from tests.statements import AURORA, alone, draft, drafts, revised
from tribute.royalty.document import StatementChange, StatementProof
from tribute.royalty.exact.text import one_line
from tribute.royalty.render import wording
from tribute.royalty.render.record import records
from tribute.royalty.render.rows import line_rows, nats_text, source_bars


def test_the_headline_is_what_is_paid() -> None:
    assert wording.total(draft()) == "7,916.67 EUR"
    assert (
        wording.lead(draft()) == "would be paid to you for December 2026 if the period were closed as it stands."
    )
    assert wording.lead(draft(status="final")) == "is paid to you for December 2026."
    unpaid = revised(draft(), {"balance.amount_paid_minor": 0})
    assert wording.lead(unpaid) == "Nothing is paid out for December 2026."
    assert wording.month(draft(period_start="2026-10-01")) == "2026-10-01 to 2026-12-31"


def test_the_allocated_amount_is_a_part_of_one_pool_or_several() -> None:
    assert "7,916.67 EUR is allocated to your sources: 79.1667% of the 10,000.00 EUR" in wording.allocated(draft())
    several = drafts("JPY", main=1_000_001, licences=500)[0]
    assert "79.1666% of the 1,000,501 JPY" in wording.allocated(several)
    assert "in 2 pools" in wording.allocated(several)
    assert "nothing is allocated to you" in wording.allocated(draft(amount_minor=0))
    assert "nothing to divide" in wording.allocated(revised(draft(), {"pools.0.pool_amount_minor": 0}))


def test_drafts_and_corrections_are_noticed() -> None:
    assert [text.split(":")[0] for text in wording.notices(draft())] == ["Draft"]
    corrected = draft(status="final", statement_version=2, restates_statement_version=1,
                    supersedes_statement_id="demo-2026-12-aurora-v1")  # fmt: skip
    [notice] = wording.notices(corrected)
    assert notice.startswith("Version 2 of a closed period: this replaces statement demo-2026-12-aurora-v1.")
    assert "nothing is paid or asked back by this one" in notice
    assert wording.lead(corrected).startswith("is what you earned for December 2026, counted again.")
    earned = revised(corrected, {"balance.amount_paid_minor": 5, "balance.royalty_earned_minor": 7})
    assert wording.total(earned) == "0.07 EUR"
    assert "Any difference, your guaranteed minimum considered, stands as a correction" in notice
    first = revised(corrected, {"supersedes_statement_id": None})
    [new] = wording.notices(first)
    assert new.startswith("Version 2 of a closed period: you had no statement of version 1, which it replaces.")
    assert wording.lead(first) == wording.lead(corrected)
    assert wording.notices(draft(status="final")) == []


def test_a_correction_tells_what_its_amount_changed_by() -> None:
    parts = {"before": draft().amount_minor + 20, "usage": -30, "measurements": 0, "prior": 0, "values": 0}
    parts |= {"terms": 9, "rounding": 1}
    change = StatementChange(**{f"{name}_minor": minor for name, minor in parts.items()})
    told = wording.notices(draft(status="final").model_copy(update={"change": change}))[-1]
    before, after = (wording.money(minor, "EUR") for minor in (parts["before"], draft().amount_minor))
    assert told == (
        f"Your amount went from {before} to {after}: −0.30 EUR by other uses of the model, 0.09 EUR by other "
        "rights, policy or revenue, 0.01 EUR by rounding."
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"value_nats": "-0.5"}, "You owe nothing either"),
        ({"amount_minor": 0}, "too small to make up one unit"),
        ({"parts": {"attributed": "0", "unattributed": "1/2", "moved": "0"}}, ""),
        ({"lines": []}, ""),
    ],
)
def test_worth_says_why_a_value_earns_nothing(changes: dict[str, Any], told: str) -> None:
    said = wording.worth(draft(**changes))
    assert told in said
    assert bool(said) == bool(told)


def test_a_value_that_is_not_told_from_zero_says_so_and_token_counts_say_nothing() -> None:
    doubtful = revised(draft(), {"parts.attributed": "0", "interval.ci_low_nats": "-1"})
    assert "cannot be told from zero with 95% confidence" in wording.worth(doubtful)
    tokens = revised(draft(), {"value_nats": "-3", "pools.0.allocation_basis": "token_count"})
    assert wording.worth(tokens) == ""
    assert "by the number of training tokens" in records(tokens, nats_text(tokens))[0].text


def test_what_is_not_attributed_is_one_sentence_and_one_row() -> None:
    assert wording.unattributed(draft()).startswith("Not attributed, 416.67 EUR: ")
    assert [row.name for row in line_rows(draft())][-2:] == ["Not attributed", "Total"]
    assert wording.unattributed(alone(AURORA, 100)) == ""


def test_lines_show_signed_and_counted_values() -> None:
    blog = next(row for row in line_rows(draft()) if row.name == "aurora-blog")
    assert (blog.value, blog.counted, blog.amount) == ("−2.25", "0.00", "0.00 EUR")
    assert [row.part for row in line_rows(draft())] == ["all", "all", "all", "", ""]


def test_a_source_in_two_pools_is_two_rows_and_one_bar() -> None:
    both = drafts(main=1_000, licences=500)[0]
    assert [row.small for row in line_rows(both)][::4][:2] == [
        "CC-BY-4.0 · pool main",
        "CC-BY-4.0 · pool licences",
    ]
    assert [bar.label for bar in source_bars(both)] == ["aurora-docs", "atlas", "aurora-blog"]


def test_the_record_tells_revenue_terms_and_proof() -> None:
    proof = StatementProof(
        schema="tribute.proof/2", tree_size=9, leaf_index=3, hashes=(64 * "a", 64 * "b"), root=64 * "c",
        period="2026-12", signature=128 * "d", public_key=64 * "e",
    )  # fmt: skip
    terms = {"rate": "0.7", "threshold_minor": 5_000, "guarantee_minor": 100, "reserve_rate": "1/10",
             "reserve_months": 6, "withholding_rate": "3/20", "accounting_period": "quarter"}  # fmt: skip
    closed = revised(draft(proof=proof), {f"agreement.{name}": value for name, value in terms.items()})
    rows = {row.label: row for row in records(closed, nats_text(closed))}
    assert rows["Pool main"].text.startswith(
        "revenue 20,005.00 EUR, less payment fees 5.00 EUR: 50% of 20,000.00 EUR"
    )
    assert rows["Your agreement"].text == (
        "standard: 70% of what is allocated to you, paid at the end of each quarter, at least 1.00 EUR each "
        "quarter, minimum payout 50.00 EUR, 10% held in reserve for 6 months, 15% withholding tax."
    )
    assert rows["Proof"].text == "leaf 3 of 9, 2 hashes, in the JSON file"
    open_rows = {row.label: row for row in records(draft(), nats_text(draft()))}
    assert open_rows["SHA-256 of the data"].codes != rows["SHA-256 of the data"].codes
    assert "added when the operator closes" in open_rows["Proof"].text


def test_long_fractions_and_limits_are_told_in_percent() -> None:
    wide = draft(share=f"{10**80 + 1}/{10**81}", parts={"attributed": "1/2", "unattributed": "0", "moved": "-1/8"})
    rows = {row.label: row for row in records(wide, nats_text(wide))}
    assert rows["Your share"].codes == ()
    assert rows["made up of"].text.endswith("−12.5% moved by the policy's limits")


def test_names_stay_on_one_line_and_keep_their_direction() -> None:
    assert one_line("a\nb\x1b[31m\u202ec\ud800") == "a b [31m c "
    assert wording.name(draft(publisher_name="Ακρόπολις\tИздат")) == "Ακρόπολις Издат"
