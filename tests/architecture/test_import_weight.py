"""What an import loads: the science runs without the lake's engines, trackers, plots and clusters."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests.statements import statements
from tests.unit.jobs.commanding import project_with

VERIFIER = {"cryptography", "iso4217", "pydantic", "tribute"}
"""What the verifier imports, and below what these import themselves."""
OF_ITS_LIBRARIES = {
    "_cffi_backend",
    "_openssl",
    "annotated_types",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
}
HEAVY = ["deltalake", "duckdb", "matplotlib", "mlflow", "peft", "ray", "transformers"]


def loaded(module: str, packages: list[str]) -> list[str]:
    """Which of these packages are loaded once a fresh interpreter has imported the module."""
    code = f"import sys, {module}; print(*[name for name in {packages} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


ROOMS = [
    "corpus",
    "estimators",
    "evaluation",
    "readout",
    "simulation",
    "tasks",
    "tracking",
    "training",
    "valuation",
]


def test_science_loads_no_engine() -> None:
    """One interpreter imports all rooms: what none of all together loads, none loads alone."""
    modules = [f"tribute.{room}" for room in ROOMS]
    code = (
        f"import sys; from importlib import import_module\nfor each in {modules}:\n"
        f"    import_module(each); print(each, *[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == modules


@pytest.mark.parametrize("module", ["tribute.client", "tribute.client.middleware"])
def test_the_client_loads_neither_the_science_nor_the_lake(module: str) -> None:
    """It runs in other people's programs."""
    heavy = [
        "deltalake",
        "duckdb",
        "fastapi",
        "matplotlib",
        "mlflow",
        "numpy",
        "pandas",
        "pyarrow",
        "ray",
        "torch",
    ]
    assert loaded(module, [*heavy, "tribute_storage", "tribute.config"]) == []


def test_a_printed_report_loads_neither_the_science_nor_plots() -> None:
    libraries = ["matplotlib", "mlflow", "openpyxl", "pandas", "ray", "reportlab", "scipy", "torch"]
    assert loaded("tribute_jobs.inquiries.report", libraries) == []


LOOKS = [
    ["status", "{project}"],
    ["diff", "{project}", "2026-10", "2026-10"],
    ["statement", "{project}", "aurora", "--period", "2026-10"],
    ["dispute", "list", "{project}"],
    ["sql", "{project}", "from statements"],
    ["report", "{project}", "--period", "2026-10"],
]
WATCH = """
import sys
from tribute_jobs.commands.app import app
for arguments in {commands}:
    app(arguments, standalone_mode=False)
    print("loaded", arguments[0], *[name for name in {heavy} if name in sys.modules])
"""


def test_looking_at_results_loads_neither_the_science_nor_plots(tmp_path: Path) -> None:
    """The commands themselves, since some imports wait until they are needed."""
    project = str(project_with(tmp_path, {"settle-1": statements("2026-10")}))
    commands = [[word.format(project=project) for word in words] for words in LOOKS]
    code = WATCH.format(commands=commands, heavy=["torch", "ray", "mlflow", "pandas", "matplotlib", "reportlab"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("loaded ")]
    assert found == [f"loaded {words[0]}" for words in LOOKS], done.stderr


@pytest.mark.parametrize("module", ["tribute_jobs.cli", "tribute_jobs.commands.app", "tribute.config"])
def test_a_refused_argument_or_project_loads_no_lake(module: str) -> None:
    assert loaded(module, ["duckdb", "deltalake", "fsspec", "numpy", "pyarrow", "torch"]) == []


def test_the_verifier_loads_its_own_libraries_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import tribute.royalty.proof.__main__; "
        "print(*{name.partition('.')[0] for name in sys.modules.keys() - before "
        "if not (getattr(sys.modules[name], '__file__', None) or '').startswith(sys.base_prefix)})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert VERIFIER <= found <= VERIFIER | OF_ITS_LIBRARIES


def test_the_verifier_loads_only_the_rooms_it_is_built_from() -> None:
    rooms = "import sys, tribute.royalty.proof; print(*[n for n in sys.modules if n.startswith('tribute')])"
    done = subprocess.run([sys.executable, "-c", rooms], capture_output=True, text=True, check=True)
    built = tomllib.loads((Path(__file__).parents[2] / "verify" / "pyproject.toml").read_text())
    files = built["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].values()
    parts = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files}
    own = {name for name in done.stdout.split() if not any(f"{name}.".startswith(f"{part}.") for part in parts)}
    assert own == set()


@pytest.mark.parametrize("package", ["tribute.catalog", "tribute_storage"])
def test_a_name_imported_on_first_use_is_not_that_of_a_module(package: str) -> None:
    """An imported module takes the place of the package's lazy name."""
    room = import_module(package)
    modules = {path.stem for folder in room.__path__ for path in Path(folder).iterdir()}
    assert set(room.__all__) & modules == set()
