"""The published JSON Schemas of statement and bundle."""

import json

from tribute.royalty.document.bundle import Bundle
from tribute.royalty.document.kinds import ExactModel
from tribute.royalty.document.statement import Statement


def json_schemas() -> dict[str, str]:
    """File name and text of each JSON Schema (draft 2020-12)."""
    models: dict[str, type[ExactModel]] = {"statement.schema.json": Statement, "bundle.schema.json": Bundle}
    return {
        name: json.dumps(model.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"
        for name, model in models.items()
    }
