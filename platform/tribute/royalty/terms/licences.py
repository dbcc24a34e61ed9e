"""Licence metadata of sources, as their holders wrote them: kept and shown verbatim, never inferred."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing

from tribute.errors import RightsError
from tribute.files.records import raise_if_any, read_records
from tribute.ids import excerpt, listed, short, short_words
from tribute.royalty.exact.findings import Finding
from tribute.royalty.terms.cells import id_cell, verbatim_cell

COLUMNS = ("license", "rsl", "tdm_reservation", "tdm_policy")
_OF_RIGHTS = ("publisher_id", "split", "valid_from", "valid_to")
"""Columns of the sources file, which may be the same file."""
_OWN_REFERENCE = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_NO_LICENCE = {"NOASSERTION", "NONE"}


@dataclass(frozen=True)
class SourceTerms:
    """Terms that a rights holder declares for a source; None where it declares nothing."""

    source_id: str
    license: str | None = None
    """SPDX licence expression."""
    rsl: str | None = None
    """Terms in Really Simple Licensing: the XML or its address."""
    tdm_reservation: str | None = None
    """TDM Reservation Protocol: 1 reserves text and data mining, 0 does not."""
    tdm_policy: str | None = None
    """Address of the policy for text and data mining."""


def read_terms(path: Path) -> dict[str, SourceTerms]:
    """The terms of each source, from CSV, YAML or Parquet with `source_id` and any of COLUMNS; verbatim.

    Raises:
        RightsError: names file, row and column of every problem.
    """
    terms: dict[str, SourceTerms] = {}
    rows: dict[str, str] = {}
    problems: list[str] = []
    for record in read_records(path, ("source_id",), COLUMNS, _OF_RIGHTS):
        try:
            source_id = id_cell(record, "source_id")
            declared = {column: verbatim_cell(record, column) for column in COLUMNS}
        except RightsError as problem:
            problems.append(f"{record.where}, {problem}")
            continue
        before = rows.setdefault(source_id, record.where)
        if before != record.where:
            problems.append(f"{record.where} repeats source {short(source_id)} of {before}. Remove one of the two")
        terms[source_id] = SourceTerms(source_id, **declared)
    raise_if_any(f"{path} cannot be used:", problems)
    return dict(sorted(terms.items()))


def terms_json(terms: SourceTerms) -> dict[str, str]:
    """Declared terms, as a statement's line shows them; undeclared ones are left out."""
    return {column: getattr(terms, column) for column in COLUMNS if getattr(terms, column) is not None}


def terms_findings(terms: Iterable[SourceTerms]) -> list[Finding]:
    """Findings for declarations that do not follow their standard. The declarations are kept as they are."""
    findings = []
    for each in sorted(terms, key=lambda one: one.source_id):
        if each.license is not None and (problem := spdx_problem(each.license)):
            text = f"Source {short(each.source_id)}, license {excerpt(each.license)}: {problem}"
            findings.append(Finding("terms.license", each.source_id, text))
        if each.tdm_reservation not in (None, "0", "1"):
            written = f"Source {short(each.source_id)}, TDM reservation {excerpt(each.tdm_reservation)}"
            text = f"{written}: neither 0 nor 1. Ask the holder what is meant"
            findings.append(Finding("terms.tdm_reservation", each.source_id, text))
    return findings


def spdx_problem(expression: str) -> str | None:
    """Why a text is no SPDX licence expression; None if it is one. LicenseRef-... is a publisher's own licence."""
    if expression.strip() in _NO_LICENCE:
        return None
    try:
        unknown = _licensing().unknown_license_keys(_licensing().parse(expression))
    except (ExpressionError, AttributeError) as problem:
        return (
            f"not an SPDX expression ({short_words(str(problem))}). Write one such as MIT, or LicenseRef-YourName"
        )
    strange = sorted({name for name in unknown if not _OWN_REFERENCE.fullmatch(name)})
    return (
        f"{listed(strange)} is not on the SPDX list. Write LicenseRef-YourName for own terms" if strange else None
    )


@cache
def _licensing() -> Any:
    return get_spdx_licensing()
