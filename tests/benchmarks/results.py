"""Where a benchmark's figures go, and the machine they come from."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "bench"


def machine() -> dict[str, object]:
    """What a figure cannot be read without."""
    packages = ("tribute", "torch", "ray", "duckdb", "deltalake", "mlflow", "numpy")
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processors": os.cpu_count(),
        "processor": model[0].partition(":")[2].strip() if model else platform.processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def write_results(name: str, figures: dict[str, object]) -> None:
    """Write build/bench/NAME.json."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps({"machine": machine()} | figures, indent=2) + "\n")
    print(f"wrote {path}")


def update_results(name: str, figures: dict[str, object]) -> None:
    """Replace some keys of build/bench/NAME.json and keep the others."""
    path = FOLDER / f"{name}.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    write_results(name, {key: value for key, value in before.items() if key != "machine"} | figures)
