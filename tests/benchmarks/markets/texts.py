"""A market of text: ten sources of documentation, among them copies, words in random order and a cipher.

The documentation is that of installed packages, at the versions that constraints.txt pins; a bank holds a digest
of each world's examples, so that another version is noticed.
"""

import hashlib
import random
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import distribution

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.markets.world import World, query_rows
from tribute.config import TaskSettings, TrainingSettings
from tribute.corpus.eligibility import eligible_parts
from tribute.corpus.readers.docstrings import documentation, is_documentation
from tribute.corpus.sources import Document
from tribute.training import TrainingSet

PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scikit-learn", "scipy", "SQLAlchemy", "sympy", "torch")
KINDS = ("documentation",) * 5 + ("copy", "random words", "boilerplate", "cipher", "repetition")
CONTEXT, DOCUMENT, POOL = 32, 2000, 100_000
"""Bytes that the model sees; of the longest document; read of each package."""

LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ.,_(\n"
"""The tokens: a small alphabet, so that a training takes tenths of a second. Other characters count as spaces."""

CODES = np.array([max(LETTERS.find(chr(code)), 0) for code in range(128)], np.int16)

BYTES, LEAST = 100_000, 3_000
"""Of all sources together, and of the smallest."""

ASKED_EVERY, QUERIES = 4, 100
"""Every so many documents are asked for and not trained on; windows asked for, for each package."""

RATES = {"smooth": 0.005, "rough": 0.012}


@lru_cache(maxsize=len(PACKAGES))
def documents(package: str) -> tuple[str, ...]:
    """The start of its files' documentation, in the order of a hash of their names."""
    found, left, known = list[str](), POOL, distribution(package)
    names = sorted(map(str, known.files or ()), key=lambda name: hashlib.sha256(name.encode()).digest())
    for name in filter(is_documentation, names):
        text = documentation(name, known.locate_file(name).read_bytes()).encode("ascii", "ignore")[:DOCUMENT]
        if left > 0 and len(text) > 4 * CONTEXT:
            found.append(text.decode())
            left -= len(text)
    return tuple(found)


def text(split: int, setting: str) -> World:
    """Five packages, and five sources made from them that teach less than their size."""
    rng = np.random.default_rng([split, 3])
    packages = [PACKAGES[i] for i in rng.permutation(len(PACKAGES))[:5]]
    kinds = tuple(KINDS[i] for i in rng.permutation(len(KINDS)))
    counts = LEAST + rng.dirichlet(np.full(len(KINDS), 3.0)) * (BYTES - LEAST * len(KINDS))
    trained, asked = dict[str, str](), ([], [])
    for package in packages:
        pieces = documents(package)
        trained[package] = "\n\n".join(d for i, d in enumerate(pieces) if i % ASKED_EVERY)
        for part in range(2):
            chosen = "\n\n".join(pieces[part * ASKED_EVERY :: 2 * ASKED_EVERY])
            asked[part].append(windows(chosen)[:QUERIES])
    texts, own = dict[str, str](), iter(packages)
    for s, (kind, count) in enumerate(zip(kinds, counts, strict=True)):
        content = trained[next(own)] if kind == "documentation" else made(kind, trained, packages, split)
        texts[f"{s:03d}"] = content[: int(count)]
    data = TrainingSet.assemble({source_id: {"tokens": windows(each)} for source_id, each in texts.items()})
    queries = [query_rows({"tokens": np.concatenate(part)}) for part in asked]
    options = {"context": CONTEXT, "width": 16, "heads": 2, "layers": 1, "vocabulary": len(LETTERS)}
    training = TrainingSettings(learning_rate=RATES[setting], batch_size=16, epochs=2.0)
    size_S = data.counts * float(CONTEXT + 1)
    parts = eligible_parts({source_id: [Document(source_id, each)] for source_id, each in texts.items()})
    eligible_S = size_S * np.array(list(parts.values()))
    task = TaskSettings(options=options)
    return World(f"text-{split}-{setting}", data, kinds, size_S, *queries, task, training, eligible_S)


def made(kind: str, trained: dict[str, str], packages: Sequence[str], split: int) -> str:
    """The text of a source that is not documentation."""
    rng, every = random.Random(split), "\n\n".join(trained.values())
    if kind == "copy":
        return trained[packages[0]]
    if kind == "random words":
        return " ".join(rng.choices(every.split(), k=BYTES // 6))
    if kind == "boilerplate":
        form = (
            "Copyright {} by the authors of part {}. All rights reserved. Redistribution is permitted as stated.\n"
        )
        return "".join(form.format(rng.randrange(1990, 2026), number) for number in range(BYTES // 90))
    if kind == "cipher":
        letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
        return trained[packages[1]].translate(str.maketrans("".join(letters), "".join(rng.sample(letters, 26))))
    return every[:600] * (BYTES // 600)


def windows(content: str) -> NDArray[np.int16]:
    """Consecutive windows of context + 1 bytes, [N, context + 1]."""
    values = CODES[np.frombuffer(content.upper().encode(), np.uint8)]
    count = len(values) // (CONTEXT + 1)
    return values[: count * (CONTEXT + 1)].reshape(count, CONTEXT + 1)
