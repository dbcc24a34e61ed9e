"""A part of a project: its corpus, read from files; what is trained on, held out and credited."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.fuzz.chance import Chance
from tests.fuzz.corpus.files import FAULTS, write_files
from tests.fuzz.corpus.texts import DISGUISES, letters, written
from tests.fuzz.odd_ids import canonical, drawn_ids, folder_names
from tests.fuzz.part import Part, require
from tribute.config import load_project
from tribute.corpus import Corpus, load_source, read_corpus, write_snapshot

RUN = 5
"""Words in a row that no two texts share by chance."""


@dataclass
class TextCorpus(Part):
    """A corpus of texts.

    Attributes:
        form: how it lies on the disk: `jsonl`, `parquet` or `folder`.
        texts: the documents of each source.
        copier: a source that holds a disguised copy of another one, and nothing else; empty: none.
    """

    form: str = field(kw_only=True)
    texts: dict[str, list[str]] = field(kw_only=True)
    window: int = field(kw_only=True)
    held_out: float = field(kw_only=True)
    copier: str = field(kw_only=True, default="")
    owner: str = field(kw_only=True, default="")
    seed: int = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """Read the corpus by its project file; compare every source with its documents."""
        path = write_files(self.form, self.texts, folder, Chance(self.seed, 99), self.fault)
        corpus: dict[str, Any] = {
            "kind": "text",
            "path": path.name,
            "window": self.window,
            "held_out": self.held_out,
        }
        if self.copier:
            (folder / "claims.csv").write_text(
                f'source_id,claimed\n"{self.owner}",2020-01-01\n"{self.copier}",2021-05-01\n'
            )
            corpus["duplicates"] = {"claims": "claims.csv"}
        project = folder / "project.yaml"
        project.write_text(yaml.safe_dump({"name": "drawn", "corpus": corpus}), encoding="utf-8")
        found = read_corpus(load_project(project).corpus)
        kept = {canonical(name): texts for name, texts in self.texts.items()}
        if self.copier:
            self._check_copier(found, kept)
        ids = [each.source.source_id for each in found.sources]
        require(ids == sorted(kept), f"sources {ids}, not {sorted(kept)}")
        write_snapshot(found, folder / "snapshot")
        for source in found.sources:
            self._check_source(source, kept[source.source.source_id])
            stored = load_source(folder / "snapshot", source.source.source_id, "train")
            require(np.array_equal(stored["tokens"], source.train["tokens"]), "the snapshot holds other windows")

    def _check_source(self, source: Any, texts: list[str]) -> None:
        """What is trained on and held out is what was written, cut as was asked for."""
        who = f"source {source.source.source_id[:60]!r}"
        whole = sum(len(text.encode()) for text in texts)
        train, held = stream(source.train["tokens"]), stream(source.held_out["tokens"])
        if not self.held_out:
            expected = "\0".join(texts).encode()
            require(not held, f"{who}: {len(held)} bytes are held out, none were asked for")
            windows = max((len(expected) - 1) // (self.window - 1), 0)
            require(train == expected[: 1 + windows * (self.window - 1)], f"{who}: trained on other bytes")
            return
        part = sum(each.bytes for each in source.documents if each.held_out) / whole
        require(part <= 2 * self.held_out, f"{who}: {part:.3f} are held out, asked for {self.held_out}")
        if whole * self.held_out > 3 * self.window and max(len(text.encode()) for text in texts) > 4 * self.window:
            require(part >= 0.4 * self.held_out, f"{who}: {part:.3f} are held out, asked for {self.held_out}")
            require(held, f"{who}: no window is held out")
        parts = train.split(b"\0") + held.split(b"\0")
        known = "\0".join(texts).encode()
        lost = [piece for piece in parts if any(line and line not in known for line in piece.split(b"\n"))]
        require(not lost, f"{who}: trained on or held out what nobody wrote: {lost[:1]}")
        seen = runs(train.decode(errors="ignore")) & runs(held.decode(errors="ignore"))
        require(not seen, f"{who}: training and held-out part share {sorted(seen)[:1]}")

    def _check_copier(self, found: Corpus, kept: dict[str, list[str]]) -> None:
        """The copier keeps under 2 percent, the owner at least 98; the copier's entry is taken from `kept`."""
        records = {each.source.source_id: each.documents for each in found.sources}
        owner, copier = canonical(self.owner), canonical(self.copier)
        copied = sum(each.bytes for each in records.get(copier, ()))
        owned = sum(each.bytes for each in records.get(owner, ()))
        most = sum(len(text.encode()) for text in kept[copier])
        least = sum(len(text.encode()) for text in kept[owner])
        require(copied < 0.02 * most, f"a copier keeps {copied} of {most} bytes ({self.kinds[-1]})")
        require(
            owned >= 0.98 * least * (1 if not self.held_out else 0.9), f"an owner keeps {owned} of {least} bytes"
        )
        require(copier not in records, "a source that only copies is still a source")
        del kept[copier]


def stream(windows: np.ndarray) -> bytes:
    """The bytes behind windows that overlap by one."""
    if not len(windows):
        return b""
    joined = np.concatenate([windows[0], *(window[1:] for window in windows[1:])])
    return bytes(joined.astype(np.uint8).tolist())


def runs(text: str) -> set[tuple[str, ...]]:
    """Runs of words of a text, without its first and last word, which may be cut."""
    words = [each for each in text.replace("\0", " \0 ").split()][1:-1]
    found = {tuple(words[place : place + RUN]) for place in range(len(words) - RUN + 1)}
    return {each for each in found if "\0" not in each}


def drawn_corpus(chance: Chance, faulty: bool) -> TextCorpus:
    """A corpus in files, which may be broken."""
    form = chance.mixed([(4, "jsonl"), (2, "parquet"), (3, "folder")])
    count = chance.whole(2, 4)
    names = folder_names(chance, count) if form == "folder" else drawn_ids(chance, count, 0.6)
    window, part = chance.of([9, 17, 33, 65]), chance.of([0.0, 0.0, 0.05, 0.1, 0.25, 0.5])
    texts = {}
    for name in names:
        sizes = [
            chance.mixed([(2, chance.whole(20, 200)), (2, chance.whole(200, 2500))])
            for _ in range(chance.whole(1, 6))
        ]
        sizes[0] += 8 * window if part else 3 * window
        texts[name] = [written(chance, size) for size in sizes]
    fault = chance.of(FAULTS[form]) if faulty else ""
    kinds = [f"corpus: {form}", f"held out: {part}", f"window: {window}"]
    copier = owner = ""
    if not faulty and form != "folder" and len(names) > 2 and chance.happens(0.5):
        owner, copier = chance.some([name for name in names if '"' not in name], 2)
        disguise = chance.of(DISGUISES)
        least = 4000 if "replaced" in disguise else 60  # the last words of a text may be too few to be told
        texts[owner] = [text if letters(text) >= least else written(chance, 2 * least) for text in texts[owner]]
        texts[copier] = [DISGUISES[disguise](text) for text in texts[owner]]
        kinds.append(f"copy: {disguise}")
    private = [text for own in texts.values() for text in own]
    return TextCorpus(
        kinds,
        fault,
        private,
        form=form,
        texts=texts,
        window=window,
        held_out=part,
        copier=copier,
        owner=owner,
        seed=chance.whole(0, 2**30),
    )
