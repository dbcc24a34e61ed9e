"""The peers' own Python environment: they are no dependencies of tribute and never meet its environment."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "build" / "peers-venv"
EXTRA = "bench-peers"
WAY_OUT = (
    "Run it again where a package index can be reached, copy build/peers-venv from there to this place, "
    "or leave PEERS=1 out"
)


class NoPeers(RuntimeError):
    """The environment of the peers cannot be made; says how to make it."""


def peers_python() -> Path:
    """The interpreter of build/peers-venv, which is made first unless it is there with what the extra names.

    Raises:
        NoPeers: pip failed, as it does without a network.
    """
    wanted = _requirements()
    python, ready = FOLDER / "bin" / "python", FOLDER / ".ready"
    if ready.exists() and ready.read_text() == "\n".join(wanted):
        return python
    install = ["install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    for command in (
        [sys.executable, "-m", "venv", str(FOLDER)],
        [str(python), "-m", "pip", *install, *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line.upper()][:1]
            raise NoPeers(f"{' '.join(command)} ended with {done.returncode}: {''.join(said)}. {WAY_OUT}")
    ready.write_text("\n".join(wanted))
    return python


def _requirements() -> list[str]:
    """The packages of the extra: the peers alone, not tribute with all that it needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(project["project"]["optional-dependencies"][EXTRA])
