"""A bank of retrained values: what models trained without some examples measure, and no models.

A setting NAME is two files of a folder: NAME.npz with the arrays and NAME.json with how they were made. The file
SHA256SUMS beside them holds the digest of each, as `sha256sum --check SHA256SUMS` reads it. Nothing is read whose
digest differs. The repository's bank is `tests/benchmarks/canonical/bank`.

Arrays of NAME.npz, without pickle:

- `kept` [M, ceil(N / 8)] uint8: bit i of row j is 1 where retraining j trained on example i (`numpy.packbits`)
- `kind` [M] text: one of `KINDS`
- `seed` [M] int64: of the retraining
- `measured` [M, Q] float32 or float64: the measurement f of every query in nats, higher is better
- `base` [B, Q]: f of models that were trained on everything
- `base_seed` [B] int64: their seeds

Legend: M retrainings, N training examples, Q queries, B trainings on everything.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tribute.errors import ConfigError, DamagedFile, TributeError
from tribute_storage.atomic import write_atomically

Array = NDArray[np.float64]
Kind = Literal["half", "percent", "leave_one_out", "deleted"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a retraining left out: a random half; about a percent; one example whose weight is 0 in its place; one
example deleted, so that every later batch shifts by one."""
SINGLE: tuple[Kind, ...] = ("leave_one_out", "deleted")
SUMS = "SHA256SUMS"


class PublishedFigure(BaseModel):
    """A figure that others published. ``metric``: a name of `BankScores`, or `qld`. ``source``: where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    metric: str
    value: float
    source: str


class BankSettings(BaseModel):
    """How a setting's retrainings were made, NAME.json.

    ``command``: makes the two files anew. ``own_seed``: seed of the model that estimates are of. Retrainings of
    this seed are `same_seed`, of all others `other_seed`. ``examples``: N. ``queries``: Q.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    command: str
    own_seed: int
    examples: int
    queries: int
    hyperparameters: dict[str, str | int | float | bool | list[int]]
    published: list[PublishedFigure] = []


@dataclass(frozen=True)
class RetrainBank:
    """The retrained values of a setting; see the module for what the arrays hold.

    Args:
        kept_MN: True where retraining j trained on example i.
        kind_M: one of `KINDS` each.
        measured_MQ: f of every query, nats.
        base_BQ: f of the models trained on everything: under `own_seed`, and under every seed of a retraining
            that left out less than a half.

    Raises:
        TributeError: the arrays contradict each other or the settings; names the first contradiction.
    """

    settings: BankSettings
    kept_MN: NDArray[np.bool_]
    kind_M: NDArray[np.str_]
    seed_M: NDArray[np.int64]
    measured_MQ: NDArray[np.floating]
    base_BQ: NDArray[np.floating]
    base_seed_B: NDArray[np.int64]

    def __post_init__(self) -> None:
        if problem := self._wrong_shape() or self._wrong_content():
            name, command = self.settings.name, self.settings.command
            raise TributeError(f"The bank of setting {name}: {problem}. Make it anew: {command}")

    @classmethod
    def read(cls, folder: Path, name: str) -> "RetrainBank":
        """The bank of a setting.

        Raises:
            ConfigError: the folder has no such setting; lists those it has.
            DamagedFile: a file is not the one whose digest stands in SHA256SUMS, or cannot be read.
            TributeError: see the class.
        """
        if name not in settings_in(folder):
            there = ", ".join(settings_in(folder)) or "none"
            raise ConfigError(f"{folder} has no setting {name!r}. There are: {there}")
        sums = _sums(folder)
        described, packed = (_checked(folder / f"{name}.{ending}", sums) for ending in ("json", "npz"))
        try:
            settings = BankSettings.model_validate_json(described)
            with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
                kept_MN = np.unpackbits(arrays["kept"], axis=1, count=settings.examples).astype(bool)
                others = [arrays[key] for key in ("kind", "seed", "measured", "base", "base_seed")]
        except (ValidationError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise DamagedFile(f"{folder / name}.json and .npz do not hold a bank: {error}") from error
        return cls(settings, kept_MN, *others)

    def write(self, folder: Path) -> None:
        """Write NAME.npz and NAME.json, and their digests into SHA256SUMS. Equal banks are equal bytes."""
        packed, name = io.BytesIO(), self.settings.name
        np.savez_compressed(
            packed,
            kept=np.packbits(self.kept_MN, axis=1),
            kind=self.kind_M,
            seed=self.seed_M,
            measured=self.measured_MQ,
            base=self.base_BQ,
            base_seed=self.base_seed_B,
        )
        described = self.settings.model_dump_json(indent=2) + "\n"
        sums = _sums(folder) if (folder / SUMS).exists() else {}
        for file, content in ((f"{name}.npz", packed.getvalue()), (f"{name}.json", described.encode())):
            write_atomically(folder / file, content)
            sums[file] = hashlib.sha256(content).hexdigest()
        lines = (f"{sha256}  {file}\n" for file, sha256 in sorted(sums.items()))
        write_atomically(folder / SUMS, "".join(lines).encode())

    def chosen(self, kind: Kind) -> NDArray[np.bool_]:
        """Which retrainings are of a kind, [M]."""
        return np.asarray(self.kind_M == kind)

    def base_of(self, seed: int) -> Array:
        """f of the model that was trained on everything under a seed, [Q] nats."""
        return np.asarray(self.base_BQ[self.base_seed_B.tolist().index(seed)], np.float64)

    def _wrong_shape(self) -> str:
        retrainings, examples, queries = len(self.kind_M), self.settings.examples, self.settings.queries
        expected = {
            "kept": (self.kept_MN.shape, (retrainings, examples)),
            "seed": (self.seed_M.shape, (retrainings,)),
            "measured": (self.measured_MQ.shape, (retrainings, queries)),
            "base": (self.base_BQ.shape, (len(self.base_seed_B), queries)),
        }
        wrong = (f"{name} is {got}, expected {want}" for name, (got, want) in expected.items() if got != want)
        return next(wrong, "")

    def _wrong_content(self) -> str:
        left_out_M, single_M = (~self.kept_MN).sum(1), np.isin(self.kind_M, SINGLE)
        same_training = {int(seed) for seed in self.seed_M[self.kind_M != "half"]} | {self.settings.own_seed}
        without_base = sorted(same_training - set(self.base_seed_B.tolist()))
        if unknown := sorted(set(self.kind_M.tolist()) - set(KINDS)):
            return f"kind {unknown[0]!r} is none of {', '.join(KINDS)}"
        if (left_out_M == 0).any() or (left_out_M == self.settings.examples).any():
            return "a retraining left out nothing or everything"
        if (left_out_M[single_M] != 1).any():
            return "a retraining of kind leave_one_out or deleted left out more than one example"
        if without_base:
            return f"base has no training of seed {without_base[0]}"
        if not (np.isfinite(self.measured_MQ).all() and np.isfinite(self.base_BQ).all()):
            return "a measurement is not finite; leave diverged retrainings out"
        return ""


def settings_in(folder: Path) -> list[str]:
    """The settings of a bank, sorted.

    Raises:
        ConfigError: there is no bank in the folder.
    """
    if not (folder / SUMS).is_file():
        raise ConfigError(
            f"{folder} holds no bank: it has no file {SUMS}. Name the folder "
            "tests/benchmarks/canonical/bank of a clone of the repository"
        )
    return sorted(path.stem for path in folder.glob("*.npz"))


def _sums(folder: Path) -> dict[str, str]:
    pairs = (line.split(maxsplit=1) for line in (folder / SUMS).read_text().splitlines() if line.strip())
    return {file.lstrip("*"): sha256 for sha256, file in pairs}


def _checked(path: Path, sums: dict[str, str]) -> bytes:
    """The content of a file whose digest stands in SHA256SUMS."""
    content = path.read_bytes() if path.is_file() else b""
    sha256, expected = hashlib.sha256(content).hexdigest(), sums.get(path.name, "nothing")
    if sha256 != expected:
        raise DamagedFile(
            f"{path} has SHA-256 {sha256}, {SUMS} says {expected}. It is not the published bank: take both files "
            "from the repository again"
        )
    return content
