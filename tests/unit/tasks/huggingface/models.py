"""Small random models of transformers, saved as folders."""

from pathlib import Path

import numpy as np
import torch
import transformers

from tribute.config import TrainingSettings
from tribute.tasks import FlatTask, huggingface_task
from tribute.training import Recipe, TrainingSet

VOCABULARY = 64
WIDTH = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = WIDTH | {"num_key_value_heads": 1}
WITH_HEADS = LLAMA | {"head_dim": 8}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VIT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
    "num_labels": 3,
}
LANGUAGE_MODELS = {
    "gpt2": lambda: transformers.GPT2Config(architectures=["GPT2LMHeadModel"], **GPT2),
    "llama": lambda: transformers.LlamaConfig(architectures=["LlamaForCausalLM"], **LLAMA),
    "qwen2": lambda: transformers.Qwen2Config(architectures=["Qwen2ForCausalLM"], **LLAMA),
    "qwen3": lambda: transformers.Qwen3Config(architectures=["Qwen3ForCausalLM"], **WITH_HEADS),
    "gemma2": lambda: transformers.Gemma2Config(
        architectures=["Gemma2ForCausalLM"], sliding_window=6, query_pre_attn_scalar=8, **WITH_HEADS
    ),
    "mixtral": lambda: transformers.MixtralConfig(
        architectures=["MixtralForCausalLM"], num_local_experts=3, **LLAMA
    ),
    "qwen3_moe": lambda: transformers.Qwen3MoeConfig(
        architectures=["Qwen3MoeForCausalLM"],
        num_experts=3,
        num_experts_per_tok=2,
        moe_intermediate_size=8,
        **WITH_HEADS,
    ),
}
CLASSIFIERS = {
    "bert": lambda: transformers.BertConfig(
        architectures=["BertForSequenceClassification"], num_labels=3, **WIDTH
    ),
    "distilbert": lambda: transformers.DistilBertConfig(
        architectures=["DistilBertForSequenceClassification"],
        vocab_size=VOCABULARY,
        dim=16,
        hidden_dim=24,
        n_layers=2,
        n_heads=2,
        num_labels=3,
    ),
    "llama": lambda: transformers.LlamaConfig(
        architectures=["LlamaForSequenceClassification"], num_labels=3, **LLAMA
    ),
    "gpt2": lambda: transformers.GPT2Config(architectures=["GPT2ForSequenceClassification"], num_labels=3, **GPT2),
    "vit": lambda: transformers.ViTConfig(architectures=["ViTForImageClassification"], **VIT),
}


def folder_of(config: transformers.PretrainedConfig, folder: Path) -> str:
    """A folder with the config alone, of a model that is drawn under a seed."""
    config.save_pretrained(folder)
    return str(folder)


def language_model(name: str, folder: Path, **options: object) -> FlatTask:
    """The flat task of a small language model, without dropout unless it is asked for."""
    model = folder_of(LANGUAGE_MODELS[name](), folder)
    return FlatTask(huggingface_task(model=model, **({"dropout": False} | options)))


def classifier(name: str, folder: Path, **options: object) -> FlatTask:
    """The flat task of a small classifier, without dropout unless it is asked for."""
    model = folder_of(CLASSIFIERS[name](), folder)
    return FlatTask(huggingface_task(model=model, **({"dropout": False} | options)))


def ragged_tokens(rows: int = 5, width: int = 10, seed: int = 0) -> torch.Tensor:
    """Rows of tokens with padding at the right, [rows, width]."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(3, VOCABULARY, (rows, width), generator=generator, dtype=torch.int32)
    lengths = torch.linspace(width, 4, rows).long()
    return torch.where(torch.arange(width) < lengths[:, None], tokens, -1)


def rows_of(task: FlatTask, rows: int = 5, seed: int = 0) -> dict[str, torch.Tensor]:
    """Columns that fit the task, by its kind."""
    generator = torch.Generator().manual_seed(seed)
    kind = task.task.kind
    if kind == "causal_lm":
        return {"tokens": ragged_tokens(rows, seed=seed)}
    labels = torch.randint(0, 3, (rows,), generator=generator)
    if kind == "image_classifier":
        return {"features": torch.randn(rows, 3 * 8 * 8, generator=generator), "labels": labels}
    return {"tokens": ragged_tokens(rows, seed=seed), "labels": labels}


def recipe_of(task: FlatTask, **training: object) -> Recipe:
    """A training of two epochs on two sources of four rows each."""
    by_source = {
        name: {key: value.numpy() for key, value in rows_of(task, 4, seed).items()}
        for seed, name in enumerate(("alpha", "beta"))
    }
    settings = {"learning_rate": 1e-2, "batch_size": 4, "epochs": 2.0, "eps": 1e-6, "clip_norm": 1.0}
    return Recipe(task.task, TrainingSettings(**(settings | training)), TrainingSet.assemble(by_source), 0)


def numbers(value: torch.Tensor) -> np.ndarray:
    """An array of a tensor of any dtype."""
    return value.detach().double().numpy()
