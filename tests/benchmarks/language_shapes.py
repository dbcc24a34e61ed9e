"""Random Llamas of the benchmark of language models: of SmolLM2's shape, and smaller ones."""

from collections.abc import Mapping
from typing import Any

import transformers

from tests.benchmarks.results import FOLDER

SMOLLM2 = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}
SMALL = SMOLLM2 | {
    "vocab_size": 8192,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
}
TINY = SMALL | {"vocab_size": 512, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3}
SHAPES: Mapping[str, Mapping[str, Any]] = {"tiny": TINY, "small": SMALL, "smollm2": SMOLLM2}


def random_model(name: str) -> str:
    """A folder with the config of a random model."""
    folder = FOLDER / "language" / name
    transformers.LlamaConfig(architectures=["LlamaForCausalLM"], **SHAPES[name]).save_pretrained(folder)
    return str(folder)


def vocabulary_of(model: str) -> int:
    """Tokens that a model knows."""
    return int(transformers.AutoConfig.from_pretrained(model).vocab_size)


def layers_of(model: str) -> int:
    """Blocks of a model."""
    return int(transformers.AutoConfig.from_pretrained(model).num_hidden_layers)


def shape_of(model: str) -> str:
    """A model's size in words."""
    config = transformers.AutoConfig.from_pretrained(model)
    return (
        f"{config.num_hidden_layers} layers of width {config.hidden_size}, a vocabulary of {config.vocab_size:,}"
    )
