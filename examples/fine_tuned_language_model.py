"""Fine-tune a language model on eight packages' documentation, ask it, see whose text shaped its words, and pay.

Without an argument the model is a small random one, and everything takes half a minute. A pretrained model is
fine-tuned with LoRA; this one takes a quarter of an hour on one core:

    python fine_tuned_language_model.py
    python fine_tuned_language_model.py "$(python smollm2.py)" --folder month

A line that begins with $ is a command that you can type yourself.
"""

import argparse
import inspect
import json
import re
import shlex
import subprocess
import sys
from bisect import bisect_right
from collections import defaultdict
from pathlib import Path

import numpy
import peft
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

import tribute
from tribute.config import load_project
from tribute.training import TrainerRows, recorded_training, training_set

PERIOD = "2026-10"
QUESTIONS = {
    "eigenvalues": "Compute the eigenvalues of a square matrix.\n\nParameters\n----------\n",
    "experiment": "Log the metrics of a run to the tracking server",
    "module": "A neural network module. The forward method takes a tensor and returns",
    "request": "Mock the response of the service, so that the test",
    "solve": "Solve the equation for the symbol x.\n\nExamples\n========\n\n>>>",
    "thread": "Return an object that runs the function in a thread",
    "tokenizer": "Construct a tokenizer.\n\nArgs:\n    vocab_file (`str`):",
    "worker": "Start an actor on every node of the Ray cluster",
}
ANSWER_TOKENS = 40
TOKENS = """
select source_id, position, avg(influence_nats::double) as nats from influence_tokens
where query_id = '{}' group by all order by all
"""
ADAPTER = {
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "layers_to_transform": [*range(22, 30)],  # what lies before is computed once for all simulations
}
SMALL = {"max_bytes": 20_000, "window": 121}
PRETRAINED = {"max_bytes": 24_000, "window": 81}
SEEDS = 2


def main() -> None:
    """The whole month, from a model to final statements."""
    parser = argparse.ArgumentParser(description="Fine-tune a language model, and pay for its answers")
    parser.add_argument("model", nargs="?", help="folder of a pretrained model; default: a small random one")
    parser.add_argument("--folder", type=Path, default=Path("month"), help="a new folder for the project")
    asked = parser.parse_args()
    if asked.folder.exists():
        parser.error(f"{asked.folder} exists already. Choose another --folder, or delete it")
    logging.disable_progress_bar()
    project = prepare(asked.folder, asked.model)
    fine_tune(project)
    run("ingest", project, ask(project))
    run("run", project, "--period", PERIOD)
    show_words(project, "eigenvalues")
    run("verbatim", project, "--query", "eigenvalues", "--period", PERIOD)
    run("close", project, "--period", PERIOD)


def prepare(folder: Path, model: str | None = None) -> Path:
    """Write the project file of the month, and a small model if none is given; the path of the file."""
    folder.mkdir(parents=True)
    chosen = str(Path(model or small_model(folder / "base")).resolve())
    docs = {"kind": "installed_docs", "sources": 8, "held_out": 0.2, "tokenizer": chosen}
    settings = {
        "name": "language-model",
        "corpus": docs | (PRETRAINED if model else SMALL),
        "task": {"name": "huggingface", "options": {"model": chosen} | ({"adapter": ADAPTER} if model else {})},
        "simulation": {"memory_gib": 6.0, "smoothness_sources": 0},
        "queries": {"kind": "ingested"},
        "readout": {"tokens": True},
        "valuation": {"budget": 0},  # by simulations alone: a training without a package takes minutes
        "pool": {"amount": "1000.00", "currency": "EUR"},
        "cluster": {"workers": 1},
    }
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def small_model(folder: Path) -> Path:
    """A random Llama of two layers, and a tokenizer that learnt its parts of words from documentation."""
    letters = Tokenizer(models.BPE())
    letters.pre_tokenizer, letters.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    end, alphabet = "<|endoftext|>", pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=[end], initial_alphabet=alphabet, show_progress=False
    )
    letters.train_from_iterator((inspect.getdoc(each) or "" for each in vars(numpy).values()), trainer)
    PreTrainedTokenizerFast(tokenizer_object=letters, eos_token=end).save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=512, max_position_embeddings=128, bos_token_id=0, eos_token_id=0, **sizes)
    set_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def fine_tune(project: Path) -> None:
    """Let a Trainer fine-tune the model under each seed; what tribute recorded is the training of the project."""
    settings, folder = yaml.safe_load(project.read_text()), project.parent
    data = training_set(load_project(project).corpus)
    rows, names = TrainerRows(data), [f"recordings/seed-{seed}" for seed in range(SEEDS)]
    for seed, name in enumerate(names):
        set_seed(seed)
        model = base_model(**settings["task"]["options"])
        arguments = TrainingArguments(
            str(folder / "trainer"),
            seed=seed,
            learning_rate=0.002 if "adapter" in settings["task"]["options"] else 0.01,
            lr_scheduler_type="constant",  # so that few of the last steps, which are simulated, teach enough
            num_train_epochs=1,
            save_strategy="no",
            report_to=[],
            dataloader_pin_memory=False,
        )
        trainer = Trainer(model, arguments, train_dataset=rows, data_collator=rows.collate)
        tribute.record(trainer, folder / name, data=data)  # the one line more
        trainer.train()
        trainer.save_model(str(folder / f"fine-tuned-{seed}"))
    training = recorded_training(*(folder / name for name in names)).model_dump(mode="json", exclude_unset=True)
    settings["training"] = training | {"recordings": names}
    project.write_text(yaml.safe_dump(settings, sort_keys=False))


def base_model(model: str, adapter: dict | None = None) -> torch.nn.Module:
    """The model before the fine-tuning, with a fresh adapter."""
    base = AutoModelForCausalLM.from_pretrained(model)
    return peft.get_peft_model(base, peft.LoraConfig(task_type="CAUSAL_LM", **adapter)) if adapter else base


def ask(project: Path) -> Path:
    """Let the fine-tuned model go on from each question; a file with the answers, each a use of the model."""
    model, tokenizer = fine_tuned(project)
    path = project.parent / "uses.jsonl"
    with path.open("w") as file:
        for day, (name, question) in enumerate(QUESTIONS.items(), 1):
            asked = tokenizer(question, return_tensors="pt")
            length = {"max_new_tokens": ANSWER_TOKENS, "min_new_tokens": ANSWER_TOKENS}
            choice = {"do_sample": False, "repetition_penalty": 1.3, "pad_token_id": tokenizer.eos_token_id}
            [tokens] = model.generate(**asked, **length, **choice)
            answer = tokenizer.decode(tokens[asked["input_ids"].shape[1] :], skip_special_tokens=True)
            use = {"query_id": name, "prompt": question, "text": answer, "time": f"{PERIOD}-{day:02}T12:00:00Z"}
            file.write(json.dumps(use) + "\n")
    return path


def fine_tuned(project: Path) -> tuple[torch.nn.Module, PreTrainedTokenizerFast]:
    """The model of the first seed, which is the one that is valued, and its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(yaml.safe_load(project.read_text())["corpus"]["tokenizer"])
    return AutoModelForCausalLM.from_pretrained(project.parent / "fine-tuned-0"), tokenizer


def words(project: Path, query: str) -> list[tuple[str, dict[str, float]]]:
    """The words of an answer, each with the nats by which each package made it likelier."""
    uses = map(json.loads, (project.parent / "uses.jsonl").read_text().splitlines())
    [use] = [each for each in uses if each["query_id"] == query]
    text = use["prompt"] + use["text"]
    tokenizer = AutoTokenizer.from_pretrained(yaml.safe_load(project.read_text())["corpus"]["tokenizer"])
    starts = [found.start() for found in re.finditer(r"\S+\s*", text)]
    spans = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    word_T = [bisect_right(starts, end - 1) - 1 for _, end in spans]
    nats: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows(project, TOKENS.format(query)):
        nats[word_T[row["position"]]][row["source_id"]] += row["nats"]
    ends = [*starts[1:], len(text)]
    return [(text[starts[word] : ends[word]], nats[word]) for word in sorted(nats)]


def show_words(project: Path, query: str) -> None:
    """Print the words of an answer, and which package shaped each most."""
    print(f"\nWhose text shaped the answer to {query!r}:")
    for word, by_source in words(project, query):
        source = max(by_source, key=lambda name: by_source[name])
        print(f"  {word.strip():<20} {source:<16} {by_source[source]:+.3f} nats")


def rows(project: Path, sql: str) -> list[dict]:
    """What the lake answers."""
    lines = run("sql", project, sql, "--format", "json", shown=False).splitlines()
    return [json.loads(line) for line in lines]


def run(command: str, *more: str | Path, shown: bool = True) -> str:
    """Run a command of tribute, as a terminal does; what it printed, if it is not shown."""
    given = [command, *map(str, more)]
    if shown:
        print(f"\n$ tribute {shlex.join(given)}", flush=True)
    whole = [sys.executable, "-m", "tribute_jobs.cli", *given]
    ended = subprocess.run(whole, check=False, text=True, stdout=None if shown else subprocess.PIPE)
    if ended.returncode:
        raise SystemExit(ended.returncode)  # the command said why
    return ended.stdout or ""


if __name__ == "__main__":
    main()
