"""Measured figures of the documentation, each read from a committed JSON file in `docs/benchmarks/`.

A page asks for a table with `{{ table NAME.KEY }}` on a line of its own, and for a single figure with
`{{ NAME.KEY }}`.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "benchmarks"
TABLE = re.compile(r"^\{\{ table (\w+)\.(\w+) \}\}$", re.MULTILINE)
FIGURE = re.compile(r"\{\{ (\w+)\.(\w+) \}\}")


@cache
def benchmark(name: str) -> dict[str, Any]:
    """The content of `docs/benchmarks/NAME.json`."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return content


def markdown_table(name: str, key: str) -> str:
    """A table of a benchmark, as Markdown; the first column is left-aligned, all others right-aligned."""
    table = benchmark(name)["tables"][key]
    rows = [table["columns"], ["---", *["---:"] * (len(table["columns"]) - 1)], *table["rows"]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def provenance(name: str) -> str:
    """When, where and with which command a benchmark was measured, as one line of Markdown."""
    told = benchmark(name)
    commands = ", ".join(f"`{command}`" for command in told["command"].split("; "))
    return f"Measured {told['date']} at commit `{told['commit']}` with {commands} on {told['machine']}."


def with_figures(markdown: str, to_benchmarks: str) -> str:
    """The page with its tables and figures filled in.

    Args:
        to_benchmarks: path from the page to the folder of benchmark files, such as `../benchmarks/`.

    Raises:
        KeyError: a table or a figure that no file has.
    """

    def table(match: re.Match[str]) -> str:
        name, key = match.groups()
        caption = benchmark(name)["tables"][key]["caption"]
        source = f"{provenance(name)} [{name}.json]({to_benchmarks}{name}.json)"
        return f"{markdown_table(name, key)}\n\n{caption}\n{{ .caption }}\n\n{source}\n{{ .source }}"

    def figure(match: re.Match[str]) -> str:
        return str(benchmark(match[1])["values"][match[2]])

    return FIGURE.sub(figure, TABLE.sub(table, markdown))
