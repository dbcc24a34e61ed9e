"""Licence metadata: verbatim, and flagged where no machine can read them."""

from pathlib import Path

import pytest

from tests.unit.royalty.terms.files import write
from tribute.errors import RightsError
from tribute.royalty.terms.licences import SourceTerms, read_terms, spdx_problem, terms_findings, terms_json

RSL = '<license><permits type="usage">ai-train</permits></license>'


def test_what_is_declared_is_kept_to_the_letter(tmp_path: Path) -> None:
    text = (
        f"""- {{source_id: b, license: "mit  license ", rsl: '{RSL}', tdm_reservation: 1}}\n- {{source_id: a}}\n"""
    )
    terms = read_terms(write(tmp_path, text, "terms.yaml"))
    assert terms == {"a": SourceTerms("a"), "b": SourceTerms("b", "mit  license ", RSL, "1")}
    assert terms_json(terms["b"]) == {"license": "mit  license ", "rsl": RSL, "tdm_reservation": "1"}
    assert terms_json(terms["a"]) == {}


def test_what_a_machine_cannot_read_is_found() -> None:
    terms = [SourceTerms("b", tdm_reservation="yes"), SourceTerms("a", "see contract", tdm_reservation="0")]
    found = terms_findings(terms)
    assert [(each.code, each.subject) for each in found] == [
        ("terms.license", "a"),
        ("terms.tdm_reservation", "b"),
    ]
    assert found[0].text.startswith("Source a, license 'see contract': ")
    assert found[1].text.startswith("Source b, TDM reservation 'yes': neither 0 nor 1")


@pytest.mark.parametrize(
    "expression",
    ["MIT", "CC-BY-4.0 AND LicenseRef-Reuters-2026", "NOASSERTION", "GPL-2.0-only WITH Classpath-exception-2.0"],
)
def test_spdx_expressions_pass(expression: str) -> None:
    assert spdx_problem(expression) is None


@pytest.mark.parametrize("expression", ["MIT AND", "Proprietary", "MIT OR (", "see contract", "LicenseRef-a b"])
def test_other_texts_do_not(expression: str) -> None:
    assert "LicenseRef-YourName" in str(spdx_problem(expression))


def test_bad_rows_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RightsError) as raised:
        read_terms(write(tmp_path, "source_id,license\na,MIT\n,MIT\na,MIT\n"))
    assert "line 3, column source_id is empty" in str(raised.value)
    assert "line 4 repeats source a of line 2" in str(raised.value)
    with pytest.raises(RightsError, match=r"unknown column licence. Did you mean license\?"):
        read_terms(write(tmp_path, "source_id,licence\na,MIT\n"))


def test_declarations_in_yaml_are_verbatim(tmp_path: Path) -> None:
    terms = read_terms(write(tmp_path, "- {source_id: 010, tdm_reservation: yes, license: 1.0}", "terms.yaml"))
    assert terms["010"].tdm_reservation == "yes", "kept, and a finding"
    assert terms["010"].license == "1.0"
