"""Passages that an answer shares with sources, on a terminal."""

from typing import Any

from rich.console import Console

from tribute_jobs.printing import printable


def print_verbatim(found: list[dict[str, Any]], console: Console) -> None:
    """Each passage: its length, its document and source, and its text."""
    for each in found:
        kind = "verbatim" if each["kind"] == "exact" else "nearly verbatim"
        document = each["document"] or f"document {each['number'] + 1}"
        again = f", and in {each['places'] - 1:,} more places" if each["places"] > 1 else ""
        told = f"{kind}: {each['characters']:,} characters from {document} of {each['source_id']}{again}"
        console.print(printable(told), markup=False, highlight=False)
        console.print(printable(f"  {each['text']}"), markup=False, highlight=False)
    if not found:
        console.print("nothing verbatim", markup=False, highlight=False)
