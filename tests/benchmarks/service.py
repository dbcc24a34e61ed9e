"""The service beside an application that only runs the model's forward pass, both on Ray Serve in one session.

- Requests and queries a second, and latencies, at 1, 16 and 64 clients, 1 and 16 queries a request; with the exact
  read-out of 10 sources, and the distilled one of 10, 100 and 1,000.
- The same of the distilled read-out of 10 sources by a service whose parts are processes of their own.
- The time of a request before and after 100,000 recorded uses, and the files that these make in the lake.
- Processes of the service killed under load: what was acknowledged is in the lake, once.

`SETTING` names the parts to run: exact-10, distilled-10, distilled-100, distilled-1000, in-parts, flatness, kills.
QUICK=1 tries everything out in little time; FULL=1 measures longer.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.results import FOLDER, update_results
from tests.benchmarks.serving.flatness import flatness
from tests.benchmarks.serving.killing import kills
from tests.benchmarks.serving.projects import QUICK
from tests.benchmarks.serving.rows import CLIENTS, QUERIES, ROUNDS, SECONDS, measured_rows
from tests.benchmarks.serving.session import FLUSH_EVERY_S, MONTH_SO_FAR
from tribute.cluster import ray_session
from tribute.config import ClusterSettings

SERVED = {
    "exact-10": (10, False),
    "distilled-10": (10, True),
    "distilled-100": (100, True),
    "distilled-1000": (1000, True),
}
PARTS = (*SERVED, "in-parts", "flatness", "kills")
SHOWN = {
    "clients": "clients",
    "queries_per_request": "queries",
    "queries_per_second": "queries/s",
    "bare_queries_per_second": "bare",
    "ratio": "ratio",
    "ratio_to_allowed": "to allowed",
    "p50_ms": "p50 ms",
    "bare_p50_ms": "bare p50",
    "p99_ms": "p99 ms",
    "bare_p99_ms": "bare p99",
}
KEY = ("sources", "readout", "clients", "queries_per_request")
NAME = "service-quick" if QUICK else "service"


def main() -> None:
    """The parts that `SETTING` names, or all; each is written as soon as it is there."""
    asked = os.environ.get("SETTING", " ".join(PARTS)).split()
    if unknown := sorted(set(asked) - set(PARTS)):
        sys.exit(f"No part {', '.join(unknown)} of this benchmark. There are: {', '.join(PARTS)}")
    for part in asked:
        began = time.monotonic()
        with ray_session(ClusterSettings()):
            figures = measured(part)
        taken = {"seconds_of_parts": earlier("seconds_of_parts", {}) | {part: time.monotonic() - began}}
        update_results(NAME, figures | taken | circumstances())


def measured(part: str) -> dict[str, Any]:
    """Keys of service.json that a part gives."""
    if part in SERVED:
        return served_rows(*SERVED[part])
    if part == "in-parts":
        return {"rows_in_parts": [row for row, _ in measured_rows(10, True, max_replicas=2)]}
    found: dict[str, Any] = flatness() if part == "flatness" else {"kills": kills()}
    print(json.dumps(found, indent=2), flush=True)
    return found


def served_rows(sources: int, distilled: bool) -> dict[str, Any]:
    """`rows` with those of a project, and `explained`, which is not for reading."""
    found: dict[str, list[dict[str, Any]]] = {"rows": [], "explained": []}
    for row, why in measured_rows(sources, distilled):
        found["rows"].append(row)
        found["explained"].append(why)
        print(json.dumps(row), flush=True)
    show(found["rows"])
    return {name: _replaced(earlier(name, []), new) for name, new in found.items()}


def circumstances() -> dict[str, Any]:
    """What was measured how, and on which commit."""
    settings = {
        "clients": CLIENTS,
        "queries": QUERIES,
        "seconds": SECONDS,
        "rounds": ROUNDS,
        "flush_every_s": FLUSH_EVERY_S,
        "month_so_far": MONTH_SO_FAR,
        "training_seed": 0,
        "quick": QUICK,
    }
    asked = ["git", "describe", "--always", "--dirty"]
    ended = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=False)
    return {"settings": settings, "commit": ended.stdout.strip()}


def earlier(name: str, otherwise: Any) -> Any:
    """A key of the results so far."""
    path = FOLDER / f"{NAME}.json"
    return json.loads(path.read_text()).get(name, otherwise) if path.exists() else otherwise


def show(rows: list[dict[str, Any]]) -> None:
    """Rows as a table."""
    title = f"{rows[0]['sources']} sources, {rows[0]['readout']} read-out, beside the bare forward pass"
    table = Table(title=title, title_justify="left")
    for heading in SHOWN.values():
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in SHOWN))
    Console(width=150).print(table)


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _replaced(before: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {tuple(row[name] for name in KEY) for row in new}
    return [row for row in before if tuple(row[name] for name in KEY) not in known] + new


if __name__ == "__main__":
    main()
