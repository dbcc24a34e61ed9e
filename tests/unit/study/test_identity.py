"""A study's folder is found again by the code of its task, with everything that the code calls."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
import numpy as np
import torch
import tribute

{imported}

def scale():
    return 1.0

class Task:
    def build(self):
        return torch.nn.Linear(2, 2)

    def training_loss(self, model, batch):
        return model(batch["features"]).square().sum(-1) * {factor}

    def measurement(self, model, queries):
        return -self.training_loss(model, queries)

def unused():
    return 3

rows = {{"features": np.ones((3, 2), dtype=np.float32)}}
print(tribute.Study(Task(), {{"a": rows, "b": rows}}, folder=sys.argv[1]).runs.folder.name)
"""


def folder(tmp_path: Path, text: str) -> str:
    """The name of the folder of a script's study."""
    script = tmp_path / "study_script.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "studies"], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    return done.stdout.strip()


def test_what_a_task_in_a_script_calls_counts_and_what_it_does_not_call_does_not(tmp_path: Path) -> None:
    text = SCRIPT.format(imported="", factor="scale()")
    before = folder(tmp_path, text)
    assert folder(tmp_path, text.replace("return 3", "return 4")) == before
    assert folder(tmp_path, text.replace("return 1.0", "return 2.0")) != before
