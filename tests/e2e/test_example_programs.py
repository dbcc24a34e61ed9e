"""The programs in `examples/` run as they stand, on data that is installed with tribute, and print amounts.

The page of the classifier's tutorial is followed by quick tests: its script and its notebook are slow ones.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
OF_LANGUAGE_MODELS = ("fine_tuned_language_model", "smollm2")
"""See `test_language_model_example`."""
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if path.stem not in OF_LANGUAGE_MODELS)


def run(program: str | Path, folder: Path) -> str:
    """What a program prints, without a screen."""
    environment = os.environ | {"MPLBACKEND": "agg"}
    found = subprocess.run(
        [sys.executable, str(program)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def paid(printed: str) -> list[int]:
    """Amounts of a printed payout, in cents."""
    return [int(text.replace(",", "").replace(".", "")) for text in re.findall(r"% +([\d,.]+) [A-Z]{3}", printed)]


def test_there_are_scripts() -> None:
    assert [path.stem for path in SCRIPTS] == ["language_model", "value_a_classifier", "your_own_loop"]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem == "your_own_loop" else pytest.mark.slow) for path in SCRIPTS],
    ids=lambda path: path.stem,
)
def test_a_script_divides_its_pool(path: Path, tmp_path: Path) -> None:
    printed = run(path, tmp_path)
    [pool] = re.findall(r"^([\d,.]+) [A-Z]{3} over", printed, re.MULTILINE)
    assert sum(paid(printed)) == int(pool.replace(",", "").replace(".", ""))
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    cells = json.loads((EXAMPLES / "value_a_classifier.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    program = tmp_path / "notebook.py"
    program.write_text("\n".join(code) + '\nprint(values.shares().allocate("10000.00 EUR"))\n')
    assert sum(paid(run(program, tmp_path))) == 1_000_000
