"""How long the command line takes: a refused argument, the help, a printed report.

Seconds of processor time, the least of several runs, and their ratio to an empty Python program: other processes
on the machine disturb these less than wall time.
"""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.results import write_results
from tests.projects import write_project

COMMAND = [sys.executable, "-m", "tribute_jobs.cli"]
MONTH = "2026-10"


def processor_seconds(arguments: Sequence[str], code: int, runs: int) -> float:
    """The least user and system time of some runs of a program that ends with the exit code."""
    spent = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(arguments, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == code, done.stderr
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def measured(runs: int = 5) -> dict[str, dict[str, float]]:
    """Seconds of every case, and the ratio to `python -c pass`."""
    with tempfile.TemporaryDirectory() as folder:
        project = str(write_project(Path(folder)))
        subprocess.run([*COMMAND, "run", project, "--period", MONTH], check=True, capture_output=True)
        cases: dict[str, tuple[Sequence[str], int]] = {
            "python -c pass": ([sys.executable, "-c", "pass"], 0),
            "refused month": ([*COMMAND, "report", project, "--period", "2026-13"], 2),
            "refused project": ([*COMMAND, "report", f"{folder}/none.yaml"], 2),
            "--help": ([*COMMAND, "--help"], 0),
            "--version": ([*COMMAND, "--version"], 0),
            "status": ([*COMMAND, "status", project], 0),
            "report": ([*COMMAND, "report", project, "--period", MONTH], 0),
            "statement": ([*COMMAND, "statement", project, "planet", "--period", MONTH], 0),
        }
        seconds = {name: processor_seconds(arguments, code, runs) for name, (arguments, code) in cases.items()}
    return {
        name: {"seconds": spent, "ratio": spent / seconds["python -c pass"]} for name, spent in seconds.items()
    }


def main() -> None:
    """Measure, print and write build/bench/command_line.json."""
    figures = measured()
    for name, figure in figures.items():
        print(f"  {name:<16}{figure['seconds']:6.2f} s  {figure['ratio']:6.1f} x python -c pass")
    write_results("command_line", {"processor_seconds": figures})


if __name__ == "__main__":
    main()
