"""Committed quality certificates."""

import json
from pathlib import Path
from typing import Any

from tribute_storage import connect


def read_certificate(lake_root: Path | str, evaluate_run: str) -> dict[str, Any]:
    """The figures of a committed certificate."""
    with connect(lake_root, "certificates") as connection:
        [(content,)] = connection.execute(
            "select json from certificates where run_id = $1", [evaluate_run]
        ).fetchall()
    figures: dict[str, Any] = json.loads(content)
    return figures
