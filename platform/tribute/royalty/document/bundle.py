"""The bundle: all final statements of a period with what they rest on, under one signature."""

import json
from typing import Final, Literal

from pydantic import Field

from tribute.royalty.document.kinds import Count, ExactModel, Month, Rows, Sha256, Signature
from tribute.royalty.document.statement import PolicyRecord, Statement

BUNDLE_SCHEMA: Final = "tribute.bundle/2"


class BundleInput(ExactModel):
    """All rows of a table that some runs committed."""

    table: str
    run_ids: Rows[str]
    rows: Count
    sha256: Sha256


class BundleFile(ExactModel):
    """A file that a setting names."""

    setting: str
    name: str
    sha256: Sha256


class LedgerHead(ExactModel):
    """Number of ledger entries up to the end of the period, and the hash of the last one."""

    entries: Count
    sha256: Sha256


class FactHashes(ExactModel):
    """SHA-256 of each fact: of the canonical JSON of an object with that key alone."""

    model_id: Sha256
    period: Sha256
    code_version: Sha256
    policy: Sha256
    inputs: Sha256
    simulation: Sha256
    files: Sha256
    ledger: Sha256


class BundleFacts(ExactModel):
    """What a bundle says about its period, in addition to the statements."""

    model_id: str
    period: Month
    code_version: str
    policy: PolicyRecord
    inputs: Rows[BundleInput]
    simulation: dict[str, str]
    """The runs that the statements rest on."""
    files: Rows[BundleFile]
    ledger: LedgerHead


class Bundle(BundleFacts):
    """The signed record of a closed period."""

    schema_name: Literal["tribute.bundle/2"] = Field(alias="schema")
    facts_sha256: FactHashes
    statements: Rows[Statement]
    """Sorted by id, without `proof`."""
    statement_sha256: Rows[Sha256]
    """SHA-256 of the canonical JSON of each statement."""
    leaves: Rows[Sha256]
    """RFC 6962 leaf hash of each statement: SHA-256(0x00 || canonical JSON)."""
    root: Sha256
    """Root of the Merkle tree over the leaves."""
    tree_size: Count
    public_key: Sha256
    head_signature: Signature
    """Over model, period, root and tree size."""
    signature: Signature
    """Over all keys except the two signatures and `statements`, which `leaves` cover."""


def json_schemas() -> dict[str, str]:
    """File name and text of the published JSON Schemas (draft 2020-12) of statement and bundle."""
    models: dict[str, type[ExactModel]] = {"statement.schema.json": Statement, "bundle.schema.json": Bundle}
    return {
        name: json.dumps(model.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"
        for name, model in models.items()
    }
