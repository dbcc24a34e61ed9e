"""What an exact read-out of 32 sources costs for language models, in forward passes of the same queries.

The models are random Llamas, one of SmolLM2's shape. A cost depends on shapes alone. The error of `shared_head`
does not: it is that of random weights, whose probabilities are nearly uniform, which is its worst case.
"""

import numpy as np
import torch

from tests.benchmarks.language_shapes import SHAPES, random_model
from tribute.readout import METHODS, PerturbedModel, QueryRows, costs
from tribute.tasks import FlatTask, Scope, huggingface_task

SOURCES = 32
QUERIES, TOKENS = 4, 65
MEMORY_GIB = 4.0
RESPONSE = 0.004
"""Size of a response, as a part of the parameters' own size: somewhat more than that of SmolLM2 to a source of 4
rows, two epochs of AdamW at 3e-4, which is 0.003.
"""
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def perturbed_model(name: str, scope: str, sources: int = SOURCES) -> PerturbedModel:
    """A random Llama with random responses; for the scope `lora`, adapters of rank 8 in its last block."""
    adapter = {
        "r": 8,
        "target_modules": PROJECTIONS,
        "layers_to_transform": [SHAPES[name]["num_hidden_layers"] - 1],
        "init_lora_weights": False,
    }
    options = {"adapter": adapter} if scope == "lora" else {}
    task = FlatTask(huggingface_task(model=random_model(name), dropout=False, **options))
    theta_P = task.initial(0)
    narrow = Scope(task, scope)
    torch.manual_seed(0)
    size = RESPONSE * narrow.of(theta_P).abs().clamp(min=1e-3)
    return PerturbedModel(narrow, theta_P, size * torch.randn(sources, narrow.size))


def some_queries(vocabulary: int, queries: int = QUERIES) -> QueryRows:
    """Queries of one row of random tokens."""
    tokens = np.random.default_rng(0).integers(0, vocabulary, (queries, TOKENS)).astype(np.int32)
    return QueryRows(tuple(map(str, range(queries))), {"tokens": tokens}, np.arange(queries))


def relative_error(perturbed: PerturbedModel, queries: QueryRows) -> float:
    """Largest error of `shared_head` for a source, as a part of its exact influences."""
    exact_QS, found_QS = (
        METHODS[name](perturbed, queries, MEMORY_GIB).influence_QS for name in ("shared_trunk", "shared_head")
    )
    return float(((found_QS - exact_QS).norm(dim=0) / exact_QS.norm(dim=0)).max())


def query_in_forwards(name: str, scope: str) -> dict[str, float]:
    """Costs of read-outs of 32 sources, and the error of the shared head."""
    perturbed, queries = perturbed_model(name, scope), some_queries(SHAPES[name]["vocab_size"])
    with torch.no_grad():
        error = relative_error(perturbed, queries)
        asked = ["shared_trunk", "shared_head", "jvp", "distilled", *(["difference"] if name == "small" else [])]
        return costs(asked, perturbed, queries, MEMORY_GIB) | {"shared_head_error": error}


def figures(names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """`query_in_forwards` by model and scope."""
    cases = [(name, scope) for name in names for scope in ("last_block", "lora")]
    return {f"{name}, {scope}": query_in_forwards(name, scope) for name, scope in cases}
