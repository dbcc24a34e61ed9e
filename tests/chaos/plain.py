"""What a message must not hold, and what it must: a fault is told in plain words, with a remedy."""

import re

from tests.chaos.commands import Ended
from tribute_jobs.exit_codes import ExitCode

INNARDS = (
    "Traceback (most recent call last)", "*** SIG", "panicked", "Fatal Python error", "C++", "core dumped",
    "duckdb.", "deltalake.", "DeltaError", "pyarrow.lib", "RayTaskError", "core_worker", "raylet.cc",
    "Exception ignored", "[2026-", "File \"",
)  # fmt: skip
"""Traces of libraries and of the interpreter."""
REMEDIES = re.compile(
    r"again|go on|restore|make room|\b(free|set|start|mount|give|put|copy|remove|delete|choose|mend|repair|doctor|"
    r"wait|change|lower|correct|use)\b",
    re.IGNORECASE,
)
MOST_LINES, MOST_CHARACTERS = 5, 700


def innards(ended: Ended) -> list[str]:
    """Traces of libraries and of the interpreter in what a command printed."""
    return [trace for trace in INNARDS if trace in ended.said]


def faults_of(ended: Ended, *expected: int) -> list[str]:
    """What is wrong with the way in which a command tells a fault; empty: nothing.

    Args:
        expected: exit codes that the fault may have.
    """
    found = [f"prints {trace!r}" for trace in innards(ended)]
    if ended.code not in expected:
        found.append(f"exit code {ended.code}, expected {' or '.join(map(str, expected))}")
    if ended.hung:
        found.append("hangs")
    if ended.code in (ExitCode.DONE, ExitCode.NO_QUERIES):
        return found
    if ended.code == ExitCode.FOUND and ended.out:  # a check tells what it found where it tells what it looked at
        return found
    lines = [line for line in ended.errors.splitlines() if line.strip()]
    if not lines:
        found.append("says nothing")
    if len(lines) > MOST_LINES or len(ended.errors) > MOST_CHARACTERS:
        found.append(f"says {len(lines)} lines, {len(ended.errors)} characters")
    if lines and not REMEDIES.search(ended.errors):
        found.append("names no remedy")
    return found
