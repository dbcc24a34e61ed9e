"""Small corpora on disk in every format, and the refusal of a bad one."""

import json
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tribute.config import IdxCorpusSettings, TextCorpusSettings
from tribute.errors import CorpusError


def refusal(read: Callable[[], object]) -> str:
    """The message with which reading is refused."""
    with pytest.raises(CorpusError) as raised:
        read()
    return str(raised.value)


def sentence(seed: object, words: int = 60) -> str:
    """Words that no other seed's text repeats five of in a row, the same for the same seed."""
    rng = random.Random(str(seed))
    return " ".join(f"{rng.choice('abcdefgh')}{rng.randrange(1000)}" for _ in range(words))


def write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """One object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_folder(root: Path, counts: Mapping[str, int]) -> Path:
    """A folder per source with this many documents."""
    for source, count in counts.items():
        for number in range(count):
            path = root / source / f"{number:02d}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sentence(f"{source}-{number}"))
    return root


def text_settings(path: Path, **changes: object) -> TextCorpusSettings:
    """A text corpus in short windows."""
    return TextCorpusSettings.model_validate(
        {"kind": "text", "path": path, "window": 17, "held_out": 0.25} | changes
    )


def write_idx(path: Path, values: NDArray[np.uint8]) -> Path:
    """An IDX file of bytes."""
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(header + values.tobytes())
    return path


def idx_settings(folder: Path, assigned: Sequence[str], examples: int = 6, **changes: object) -> IdxCorpusSettings:
    """An IDX corpus of 2 x 3 images whose pixels count up from 0, labels 0 1 2 0 1 2 ..."""
    images = np.arange(examples * 6, dtype=np.uint8).reshape(examples, 2, 3)
    (folder / "assigned.txt").write_text("".join(f"{source}\n" for source in assigned))
    values = {
        "kind": "idx",
        "images": write_idx(folder / "images.idx", images),
        "labels": write_idx(folder / "labels.idx", np.arange(examples, dtype=np.uint8) % 3),
        "assignment": folder / "assigned.txt",
    }
    return IdxCorpusSettings.model_validate(values | changes)
