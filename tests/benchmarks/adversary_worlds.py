"""Honest and attacked worlds of real text: a project per world, which the ordinary chain then values."""

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from tribute.config import InstalledDocsSettings
from tribute.corpus.readers.installed_docs import read_installed_docs

SOURCES, BYTES = 6, 90_000
QUERY_EVERY = 6
"""Every sixth document is asked for and never trained on."""

QUERY_BYTES = 400
HONEST, LATE = "2025-01-01", "2026-09-01"
CUSTOMERS, USES = 8, 12
"""Customers of the month, and uses like each source."""

PERIODS = ("2026-10", "2026-11")
ACCOUNTS = ("mallory", "mallory-2")

Row = dict[str, object]


@dataclass(frozen=True)
class Market:
    """Documents to train on and to ask for, per source; the adversary's own source, and the one that it copies."""

    texts: dict[str, list[str]]
    asked: dict[str, list[str]]
    own: str
    victim: str

    @classmethod
    def of_installed_docs(cls) -> "Market":
        """The largest source is copied, by the holder of the one in the middle."""
        settings = InstalledDocsSettings(kind="installed_docs", sources=SOURCES, max_bytes=BYTES)
        _, documents = read_installed_docs(settings)
        texts = {s: [d.text for i, d in enumerate(found) if i % QUERY_EVERY] for s, found in documents.items()}
        asked = {s: _pieces(" ".join(d.text for d in found[::QUERY_EVERY])) for s, found in documents.items()}
        by_size = sorted(texts, key=lambda s: sum(map(len, texts[s])))
        return cls(texts, asked, by_size[len(by_size) // 2], by_size[-1])


@dataclass(frozen=True)
class World:
    """What differs from the honest world: the adversary's sources, who holds them, what is asked, and settings."""

    name: str
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    accounts: int = 1
    replaces_own: bool = False
    flood: int = 0
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    kind: Literal["copier", "padder", "control"] = "copier"
    """A control has a defence off: what the attack would gain without it."""

    folder: str = ""
    """Worlds of one folder share their training."""

    @property
    def slug(self) -> str:
        """Its name as a file is called."""
        return re.sub(r"[^a-z0-9]+", "-", self.name)

    @property
    def period(self) -> str:
        """A month is committed to one policy, so a policy of its own needs a month of its own."""
        return PERIODS["policy" in self.settings]


def write_world(root: Path, market: Market, world: World, seed: int = 0) -> Path:
    """The project folder of a world; its `project.yaml`."""
    folder = root / f"{world.folder or world.slug}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, Sequence[str]] = dict(market.texts)
    if world.replaces_own:
        del texts[market.own]
    texts |= world.sources
    honest = {text for documents in market.texts.values() for text in documents}
    held = {s: set(market.texts.get(s, ())) for s in texts}
    if world.replaces_own:
        held |= dict.fromkeys(world.sources, honest)
    rows = [
        {"source": s, "text": text, "claimed": HONEST if text in held[s] else LATE}
        for s, documents in texts.items()
        for text in documents
    ]
    _write_rows(folder / "corpus.jsonl", rows)
    uses = [*_usage(market), *_flood(market, world.flood)]
    _write_rows(folder / _usage_file(world), [use | {"period": world.period} for use in uses])
    mine = sorted({market.own, *world.sources} & texts.keys())
    holder = {s: ACCOUNTS[mine.index(s) % world.accounts] if s in mine else s for s in texts}
    table = "".join(f"{source},{publisher},1,,\n" for source, publisher in holder.items())
    heading = "source_id,publisher_id,split,valid_from,valid_to\n"
    (folder / f"sources-{world.accounts}.csv").write_text(heading + table)
    settings = _settings(world, seed)
    for section, changes in world.settings.items():
        settings[section] = settings.get(section, {}) | changes  # type: ignore[operator]
    path = folder / f"project-{world.slug}-{seed}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def _settings(world: World, seed: int) -> dict[str, object]:
    return {
        "name": "market",
        "corpus": {"kind": "text", "path": "corpus.jsonl", "window": 33, "held_out": 0},
        "rights": {"sources": f"sources-{world.accounts}.csv"},
        "task": {"name": "byte_lm", "options": {"context": 32, "width": 16, "heads": 2, "layers": 1}},
        "training": {"seed": seed, "learning_rate": 0.01, "batch_size": 64, "epochs": 2, "replicates": 2},
        "valuation": {"budget": 0},
        "queries": {"kind": "usage", "path": _usage_file(world)},
        "pool": {"amount": "100000.00", "currency": "EUR"},
        "tracking": {"enabled": False},
    }


def _usage_file(world: World) -> str:
    return f"usage-{world.flood}-{world.period}.jsonl"


def _usage(market: Market) -> list[Row]:
    """The month's uses: as many like every source, by customers in turn."""
    return [
        {
            "query_id": f"{s}-{number:04d}",
            "text": text,
            "customer_id": f"customer-{(number + shift) % CUSTOMERS}",
            "weight": USES / len(texts),
        }
        for shift, (s, texts) in enumerate(market.asked.items())
        for number, text in enumerate(texts)
    ]


def _flood(market: Market, uses: int) -> Iterable[Row]:
    """Uses of one customer, of texts like the adversary's own."""
    texts = market.texts[market.own]
    for number in range(uses):
        text = texts[number % len(texts)]
        begin = random.Random(number).randrange(max(1, len(text) - QUERY_BYTES))
        yield {
            "query_id": f"flood-{number:05d}",
            "text": text[begin : begin + QUERY_BYTES],
            "customer_id": "flooder",
        }


def _pieces(text: str) -> list[str]:
    cut = [text[begin : begin + QUERY_BYTES] for begin in range(0, len(text), QUERY_BYTES)]
    return cut[:USES]


def _write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def shuffled(texts: Sequence[str], seed: int) -> list[str]:
    """The same documents with their paragraphs in another order."""
    found = []
    for number, text in enumerate(texts):
        paragraphs = text.split("\n\n")
        random.Random(seed * 1000 + number).shuffle(paragraphs)
        found.append("\n\n".join(paragraphs))
    return found


def retouched(texts: Sequence[str], every: int) -> list[str]:
    """The same documents with one word in so many replaced."""
    return [" ".join("item" if n % every == 0 else word for n, word in enumerate(text.split())) for text in texts]


def interleaved(own: Sequence[str], other: Sequence[str]) -> list[str]:
    """Documents of another, each hidden between two halves of an own one."""
    found = []
    for number, text in enumerate(other):
        filler = own[number % len(own)]
        found.append(f"{filler[: len(filler) // 2]}\n\n{text}\n\n{filler[len(filler) // 2 :]}")
    return found


def in_pieces(texts: Sequence[str], words: int, filler: Sequence[str], between: int) -> list[str]:
    """Documents cut into pieces of so many words, with words of others, drawn at random, in between."""
    vocabulary, rng, found = " ".join(filler).split(), random.Random(0), []
    for text in texts:
        every = text.split()
        pieces = [every[n : n + words] + rng.choices(vocabulary, k=between) for n in range(0, len(every), words)]
        found.append(" ".join(word for piece in pieces for word in piece))
    return found
