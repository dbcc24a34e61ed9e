"""Runs of a small random model by `transformers.Trainer`, which record themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers

import tribute
from tests.unit.tasks.huggingface.models import LANGUAGE_MODELS, VOCABULARY
from tribute.tasks import Parameters, Task, combined, huggingface_task
from tribute.training import Recipe, TrainerRows, TrainingSet, Trajectory, adopt, recorded_training

LORA = {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}
PLAIN = {
    "per_device_train_batch_size": 4,
    "learning_rate": 5e-3,
    "max_steps": 6,
    "warmup_steps": 2,
    "lr_scheduler_type": "cosine",
    "weight_decay": 0.1,
    "logging_strategy": "no",
    "save_strategy": "no",
    "report_to": [],
    "use_cpu": True,
    "disable_tqdm": True,
}
WIDTH = 14


def rows(seed: int, count: int, *, ragged: bool, prompts: bool) -> dict[str, np.ndarray]:
    """Rows of 5 to 14 tokens, all of 14 unless ragged; with prompts of 2 tokens that are not predicted."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(3, VOCABULARY, (count, WIDTH)).astype(np.int32)
    if ragged:
        tokens[np.arange(WIDTH) >= rng.integers(5, WIDTH + 1, (count, 1))] = -1
    target = (tokens >= 0) & (np.arange(WIDTH) >= (2 if prompts else 1))
    return {"tokens": tokens, "target": target} if prompts else {"tokens": tokens}


def by_source(*, ragged: bool = True, prompts: bool = False) -> dict[str, dict[str, np.ndarray]]:
    """Three sources."""
    return {name: rows(seed, 8 + seed, ragged=ragged, prompts=prompts) for seed, name in enumerate("abc")}


def corpus(*, ragged: bool = True, prompts: bool = False) -> TrainingSet:
    """Their rows."""
    return TrainingSet.assemble(by_source(ragged=ragged, prompts=prompts))


@dataclass
class Run:
    """A run of a Trainer; `arguments` change `PLAIN`, `model` its config, `given` what else the Trainer gets."""

    folder: Path
    data: TrainingSet
    arguments: Mapping[str, Any] = field(default_factory=dict)
    name: str = "llama"
    model: Mapping[str, Any] = field(default_factory=dict)
    adapter: Mapping[str, Any] | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.checkpoint.exists():
            config = LANGUAGE_MODELS[self.name]()
            config.update(dict(self.model))
            config.save_pretrained(self.checkpoint)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "model"

    @property
    def recorded(self) -> Path:
        return self.folder / "recording"

    @property
    def task(self) -> Task:
        return huggingface_task(model=str(self.checkpoint), adapter=self.adapter)

    def trainer(self, **options: Any) -> transformers.Trainer:
        """A Trainer that records itself."""
        transformers.set_seed(3)
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.from_pretrained(self.checkpoint)
        )
        if self.adapter is not None:
            model = peft.get_peft_model(model, peft.LoraConfig(**dict(self.adapter), task_type="CAUSAL_LM"))
        examples = TrainerRows(self.data)
        args = transformers.TrainingArguments(str(self.folder / "out"), **PLAIN | dict(self.arguments))
        given = {"train_dataset": examples, "data_collator": examples.collate} | dict(self.given) | options
        return transformers.Trainer(model=model, args=args, **given)

    def train(self, *, every: int = 100, **options: Any) -> dict[str, torch.Tensor]:
        """Train and record; the final parameters."""
        trainer = self.trainer()
        tribute.record(trainer, self.recorded, data=self.data, every=every, task=self.task)
        trainer.train(**options)
        return trained(trainer)

    @property
    def recipe(self) -> Recipe:
        training = recorded_training(self.recorded)
        return Recipe(self.task, training, self.data, 0, recording=self.recorded)

    def drift(self, final: Parameters) -> float:
        """How far a replay from the first state ends from the run's end, as a part of the way that it went."""
        recipe = self.recipe
        start = Trajectory(self.recorded).load(0).theta
        ended = recipe.run(recipe.rule.begin(start), range(recipe.steps), torch.ones(len(self.data.source_ids)))
        return distance(ended.theta, final) / distance(start, final)

    def adopted(self, final: Parameters) -> float:
        """The same of the replay of `adopt`, which also compares every step with the recording."""
        assert len(Trajectory(self.recorded).steps()) == 2, "the replay goes back to every recorded state"
        end = adopt(recipe := self.recipe, self.folder / "adopted").load(recipe.steps).theta
        return distance(end, final) / distance(Trajectory(self.recorded).load(0).theta, final)


def trained(trainer: Any) -> dict[str, torch.Tensor]:
    """The parameters of a Trainer's model that train."""
    return {n: v.detach().clone() for n, v in trainer.model.named_parameters() if v.requires_grad}


def distance(one: Parameters, other: Parameters) -> float:
    """Euclidean distance of named parameters."""
    apart = combined(torch.sub, dict(one), {name: other[name] for name in one})
    return float(torch.cat([each.double().flatten() for each in apart.values()]).norm())
