"""The distribution `tribute-verify`: built, and run where nothing but its own dependencies can be imported."""

import os
import re
import resource
import subprocess
import sys
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.statements import statements
from tests.unit.royalty.proof.forger import facts_of
from tribute.royalty.proof import build_bundle, new_key, with_proofs

ROOT = Path(__file__).parents[4]
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def required(packages: Path) -> set[str]:
    """Names of all distributions that the installed wheel needs, directly or not."""
    names: set[str] = set()
    left = PathDistribution(next(packages.glob("tribute_verify-*.dist-info"))).requires or []
    while left:
        requirement = Requirement(left.pop())
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in names:
            names.add(requirement.name)
            left += distribution(requirement.name).requires or []
    return names


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and links to its dependencies as they are installed here."""
    folder = tmp_path_factory.mktemp("verifier")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT / "verify"], check=True)
    [wheel] = folder.glob("tribute_verify-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in required(packages):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or []} - {"..", "__pycache__"}:
            (packages / top).symlink_to(installed.locate_file(top))
    return folder / "venv"


def run(environment: Path, *command: object) -> subprocess.CompletedProcess[str]:
    program, *arguments = map(str, command)
    path = environment / "bin" / program
    return subprocess.run([path, *arguments], capture_output=True, text=True, env=ALONE, check=False)


def test_nothing_else_can_be_imported_there(environment: Path) -> None:
    code = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n)])"
    names = ("torch", "ray", "duckdb", "mlflow", "pyarrow", "numpy", "typer", "tribute_jobs", "tribute_storage")
    found = run(environment, "python", "-I", "-c", code, *names, "pydantic", "tribute")
    assert (found.stdout.split(), found.stderr) == (["pydantic", "tribute"], "")


def test_a_statement_and_a_bundle_are_verified_there_within_two_seconds(environment: Path, tmp_path: Path) -> None:
    issued = statements()
    bundle = build_bundle(facts_of(issued[0]), issued, new_key()[0])
    for document in (bundle, with_proofs(bundle, issued)[0]):
        content, path = document.canonical(), tmp_path / "sent.json"
        path.write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        held = run(environment, "tribute-verify", path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (held.returncode, held.stderr) == (0, "") and held.stdout.startswith("HOLDS")
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2  # seconds of processor time
        path.write_bytes(re.sub(rb'"amount_paid_minor":', rb"\g<0>1", content, count=1))
        changed = run(environment, "tribute-verify", path)
        assert changed.returncode == 1 and "balance.amount_paid_minor: is 1" in changed.stdout
