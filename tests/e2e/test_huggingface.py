"""A language model of transformers with an adapter, from `project.yaml` to influences, by workers of Ray."""

from pathlib import Path

import numpy as np
import pytest
import transformers

from tests.projects import write_project
from tribute.config import load_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

PERIOD = "2026-10"
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 256,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}


@pytest.mark.usefixtures("ray_cluster")
def test_an_adapted_model_beside_the_project_is_attributed(tmp_path: Path) -> None:
    adapter = {"r": 2, "target_modules": ["q_proj", "v_proj"]}
    task = {"name": "huggingface", "options": {"model": "base", "adapter": adapter}}
    path = write_project(tmp_path, task=task)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG)).save_pretrained(tmp_path / "base")
    project = load_project(path)
    outputs = run(project, PERIOD, JsonReporter(), "attribute").outputs
    assert "scope all: 256 of " in outputs["simulate"].summary
    assert "lora_A" in outputs["simulate"].summary
    with open_tables(project.lake_root) as connection:
        rows = connection.execute("select query_id, source_id, influence_nats::double from influence").fetchall()
    assert len({row[0] for row in rows}) == 12
    assert len({row[1] for row in rows}) == 4
    assert np.isfinite([row[2] for row in rows]).all()
    assert np.std([row[2] for row in rows]) > 0
