"""A Python environment of the peers' own: they are never dependencies of tribute, and never meet its environment."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "build" / "peers-venv"
EXTRA = "bench-peers"
WAY_OUT = (
    f"Where a package index can be reached, run: {sys.executable} -m venv {FOLDER} && {FOLDER}/bin/pip install "
    f"--constraint {ROOT}/constraints.txt PEERS, the packages of the extra {EXTRA} in {ROOT}/pyproject.toml; "
    "or leave PEERS=1 out"
)


class NoPeers(RuntimeError):
    """The environment of the peers cannot be made; says how to make it."""


def peers_python() -> Path:
    """The interpreter of build/peers-venv, which is made first where it is not there for the extra as it stands.

    Raises:
        NoPeers: pip failed, as it does without a network.
    """
    wanted = _requirements()
    python, ready = FOLDER / "bin" / "python", FOLDER / ".ready"
    if ready.exists() and ready.read_text() == "\n".join(wanted):
        return python
    install = ["install", "--quiet", "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt")]
    for command in (
        [sys.executable, "-m", "venv", str(FOLDER)],
        [str(python), "-m", "pip", *install, *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise NoPeers(f"{' '.join(command)} ended with {done.returncode}: {''.join(said)}. {WAY_OUT}")
    ready.write_text("\n".join(wanted))
    return python


def _requirements() -> list[str]:
    """The packages of the extra: the peers alone, not tribute with all that it needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(project["project"]["optional-dependencies"][EXTRA])
