"""What an import loads: the science runs without the lake's engines, trackers, plots and clusters."""

import subprocess
import sys

import pytest

HEAVY = ["deltalake", "duckdb", "matplotlib", "mlflow", "ray"]


def loaded(module: str, packages: list[str]) -> list[str]:
    """Which of these packages are loaded once a fresh interpreter has imported the module."""
    code = f"import sys, {module}; print(*[name for name in {packages} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    "room",
    ["corpus", "estimators", "evaluation", "readout", "simulation", "tasks", "tracking", "training", "valuation"],
)
def test_science_loads_no_engine(room: str) -> None:
    assert loaded(f"tribute.{room}", HEAVY) == []


def test_a_printed_report_loads_neither_the_science_nor_plots() -> None:
    libraries = ["matplotlib", "mlflow", "openpyxl", "pandas", "ray", "reportlab", "scipy", "torch"]
    assert loaded("tribute_jobs.inquiries.report", libraries) == []


def test_a_refused_argument_loads_no_lake() -> None:
    assert loaded("tribute_jobs.cli", ["duckdb", "deltalake", "fsspec", "numpy", "pyarrow", "torch"]) == []
