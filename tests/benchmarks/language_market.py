"""A market for a pretrained language model: eight sources, whose sizes say little of their worth.

Everything is drawn from a seed, before anything is trained: which packages, how much of each, and how often each
is asked for. There are two kinds of market:

- `documentation`: all sources are good text. Two packages are not asked for at all, and one has two sources.
- `mixed`: four packages, and four sources made from them as in the market `text`: a copy, random words,
  boilerplate and a cipher.

- Held-out documents of every package become queries. In the market that is judged, packages are asked for by
  Zipf's law, in an order that is drawn apart from their sizes, as readers do not ask by the size of a publisher.
- In the market `by size` the same queries are asked in proportion to the packages' tokens. Token counts are nearly
  right there by construction.

Legend: S sources, Q queries, W tokens of a window, V vocabulary, D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.benchmarks.markets.texts import ASKED_EVERY, PACKAGES, documents, made

DOCUMENTATION, MORE = "documentation", "more"
KINDS = {
    "documentation": (*(DOCUMENTATION,) * 7, MORE),
    "mixed": (*(DOCUMENTATION,) * 4, "copy", "random words", "boilerplate", "cipher"),
}
"""What each source of a market holds: its own package, more of the first one, or what `made` makes."""
ASKED = 5
"""Packages that are asked for, at most."""
LARGEST = 5.0
"""Size of the largest source, in multiples of the smallest."""
SEED = 0
SPECIAL = 17
"""Tokens of SmolLM2 that stand for no text; they come first in its vocabulary."""


@dataclass(frozen=True)
class LanguageMarket:
    """Windows of tokens by source, and queries with the uses of each.

    Args:
        kind: of market: a key of `KINDS`.
        model: folder of a pretrained model with its tokenizer.
        windows: of all sources together.
        length: tokens of a window, W.
        asked: held-out windows of all packages together, at most; each has as many.
    """

    kind: str
    model: Path
    windows: int
    length: int
    asked: int

    @cached_property
    def packages(self) -> dict[str, str]:
        """The package of each source; empty: none, as its text is made."""
        drawn = np.random.default_rng(SEED).permutation(len(PACKAGES))
        names = [PACKAGES[index] for index in drawn[: KINDS[self.kind].count(DOCUMENTATION)]]
        made_of = {MORE: {f"{names[0]} (more)": names[0]}}
        others = [kind for kind in KINDS[self.kind] if kind != DOCUMENTATION]
        return {name: name for name in names} | {
            source: package for kind in others for source, package in made_of.get(kind, {kind: ""}).items()
        }

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Windows of each source: evenly spaced sizes in an order that is drawn."""
        weight_S = np.random.default_rng([SEED, 1]).permutation(np.linspace(1, LARGEST, len(self.packages)))
        counts = np.round(self.windows * weight_S / weight_S.sum()).astype(int).tolist()
        return dict(zip(self.packages, counts, strict=True))

    @cached_property
    def demand(self) -> dict[str, float]:
        """Part of the uses that ask for each package: Zipf's law over `ASKED` of them, in a drawn order."""
        names = [name for name in dict.fromkeys(self.packages.values()) if name]
        ranked = [names[index] for index in np.random.default_rng([SEED, 2]).permutation(len(names))]
        total = sum(1 / rank for rank in range(1, len(ranked[:ASKED]) + 1))
        asked = {name: 1 / rank / total for rank, name in enumerate(ranked[:ASKED], 1)}
        return {name: asked.get(name, 0.0) for name in names}

    @cached_property
    def by_size(self) -> dict[str, float]:
        """Part of the packages' tokens that each has."""
        total = sum(self.sizes[source] for source, package in self.packages.items() if package)
        return {
            name: sum(self.sizes[source] for source, own in self.packages.items() if own == name) / total
            for name in self.demand
        }

    @cached_property
    def ids_V(self) -> NDArray[np.int64]:
        """Ids of the tokens that the trimmed vocabulary keeps: those that occur, and special ones; sorted, [V]."""
        occurring = [tokens.ravel() for tokens in (*self._trained.values(), *self._held_out.values())]
        return np.unique(np.concatenate([np.arange(SPECIAL), *occurring]))

    def examples(self) -> dict[str, dict[str, NDArray[np.int32]]]:
        """Columns by source: windows [N, W] of trimmed tokens."""
        return {source: {"tokens": self._trimmed(tokens)} for source, tokens in self._trained.items()}

    def queries(self) -> tuple[list[str], dict[str, NDArray[np.int32]]]:
        """The package of each query, [Q], and their columns."""
        named = [name for name, tokens in self._held_out.items() for _ in tokens]
        return named, {"tokens": self._trimmed(np.concatenate(list(self._held_out.values())))}

    def uses(self, demand: Mapping[str, float]) -> NDArray[np.float64]:
        """Uses of each query, [Q], that sum to the number of queries."""
        named, _ = self.queries()
        part_Q = np.array([demand[name] / named.count(name) for name in named])
        return part_Q * len(named)

    def trimmed_model(self, folder: Path) -> Path:
        """Write the pretrained model with the tokens of `ids_V` alone; the folder.

        Logits of all 49,152 tokens cost as much as eight layers, and most of them occur in no text of the market.
        """
        if not (folder / "config.json").is_file():
            model = AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32)
            kept_VD = model.get_input_embeddings().weight.detach()[torch.from_numpy(self.ids_V)].clone()
            model.resize_token_embeddings(len(kept_VD))
            model.get_input_embeddings().weight.data.copy_(kept_VD)
            model.tie_weights()
            model.save_pretrained(folder)
        return folder

    @cached_property
    def _trained(self) -> dict[str, NDArray[np.int64]]:
        whole = {
            name: "\n\n".join(each for index, each in enumerate(documents(name)) if index % ASKED_EVERY)
            for name in self.demand
        }
        found, begin = dict[str, NDArray[np.int64]](), dict[str, int]()
        for source, package in self.packages.items():
            text = whole[package] if package else made(source, whole, list(whole), SEED)
            first = begin.get(package, 0) if package else 0
            found[source] = self._windows(text)[first : first + self.sizes[source]]
            begin[package] = first + self.sizes[source]
        return found

    @cached_property
    def _held_out(self) -> dict[str, NDArray[np.int64]]:
        whole = {name: self._windows("\n\n".join(documents(name)[::ASKED_EVERY])) for name in self.demand}
        return {
            name: windows[np.linspace(0, len(windows) - 1, self.asked // len(self.demand)).astype(int)]
            for name, windows in whole.items()
        }

    @cached_property
    def _tokenizer(self) -> AutoTokenizer:
        return AutoTokenizer.from_pretrained(self.model)

    def _windows(self, text: str) -> NDArray[np.int64]:
        """Consecutive windows of a text, [N, W]."""
        tokens = np.array(self._tokenizer(text)["input_ids"])
        return tokens[: len(tokens) // self.length * self.length].reshape(-1, self.length)

    def _trimmed(self, tokens: NDArray[np.int64]) -> NDArray[np.int32]:
        """Places of tokens in `ids_V`."""
        return np.searchsorted(self.ids_V, tokens).astype(np.int32)
