"""The public names of `tribute`: all of them, each with an example, and nothing loaded before its use."""

import re
import subprocess
import sys

import pytest

import tribute

SETTINGS = ("SimulationSettings", "TrainingSettings", "ValuationSettings")
TAKE_ARRAYS = ("Attribution", "ByteLm", "Classifier", "EvaluationReport", "Study", "Task", "Values", "check_task")
OTHERS = ("AsyncClient", "Client", "Payout", "Shares", "TaskReport", "TributeError", "record")
NAMES = sorted([*SETTINGS, *TAKE_ARRAYS, *OTHERS])
HEAVY = ("duckdb", "httpx", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow", "pydantic", "ray", "torch")


def test_these_are_all_public_names() -> None:
    assert sorted(tribute.__all__) == sorted([*NAMES, "__version__"])
    assert set(tribute.__all__) <= set(dir(tribute))
    assert re.match(r"\d+\.\d+", tribute.__version__)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_docstring_with_an_example(name: str) -> None:
    text = getattr(tribute, name).__doc__
    assert text.splitlines()[0].strip()
    assert "\n    >>> " in text


@pytest.mark.parametrize("name", TAKE_ARRAYS)
def test_what_takes_arrays_says_their_shapes(name: str) -> None:
    assert re.search(r"\[[A-Z](, [A-Za-z.]+[^\]]*)?\]", getattr(tribute, name).__doc__)


@pytest.mark.parametrize("name", NAMES)
def test_public_functions_are_documented(name: str) -> None:
    shown = getattr(tribute, name)
    own = [
        each
        for kind in getattr(shown, "__mro__", ())
        if kind.__module__.startswith(("tribute.client", "tribute.study"))
        for each in vars(kind).items()
    ]
    undocumented = [key for key, value in own if not key.startswith("_") and callable(value) and not value.__doc__]
    assert undocumented == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Studdy'"):
        tribute.Studdy  # noqa: B018


def test_importing_tribute_loads_nothing_else() -> None:
    program = "import sys, tribute; print([name for name in sys.argv[1:] if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program, *HEAVY], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
