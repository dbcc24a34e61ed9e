"""The published JSON Schemas are those of the models.

Regenerate them after a change of the models:

    python -c "from pathlib import Path; from tribute.royalty.document import json_schemas
    for name, text in json_schemas().items(): (Path('docs/reference') / name).write_text(text)"
"""

import json
from pathlib import Path

import pytest

from tribute.royalty.document import json_schemas

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"


@pytest.mark.parametrize("name", ["statement.schema.json", "bundle.schema.json"])
def test_the_published_schema_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text() == json_schemas()[name], (
        f"regenerate docs/reference/{name}, see {__file__}"
    )


def test_no_schema_allows_a_float_or_an_unknown_key() -> None:
    for text in json_schemas().values():
        definitions = list(json.loads(text)["$defs"].values())
        assert all(each["additionalProperties"] is False for each in definitions)
        assert '"type": "number"' not in text
