"""The bank of retrainings: `python -m tests.benchmarks.markets.bank` makes it anew, world by world.

A file for each world, with the digest of its examples and queries, holds totals of the measurement over the
queries of every training, and what the cheap estimates say. `--check NAME` trains some of them again.

Legend: K trainings, S sources, R replicates.
"""

import argparse
import hashlib
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.markets.designs import REPLICATES, planned, truth_seeds
from tests.benchmarks.markets.registry import TUNING, build_world, worlds
from tests.benchmarks.markets.simulated import ESTIMATORS, HORIZONS, estimates
from tests.benchmarks.markets.world import World
from tests.benchmarks.results import FOLDER
from tribute.valuation.learnt import learnt_tokens

KEPT = Path(__file__).parent / "bank"
MADE = FOLDER / "valuation-bank"
SUMS = "SHA256SUMS"
SIDE_BY_SIDE = 50
"""Trainings that run together."""

ESTIMATES = (*HORIZONS, *ESTIMATORS)
MAIN = "paired_20"
"""The estimate that carries values from the tuning queries to those that judge, kept by groups of queries."""

TOLERANCE = 0.05
"""Difference of a training from the bank, by the mean effect of a removal: rounding grows in a rough training."""

Key = tuple[int, bytes]
Arrays = dict[str, NDArray]


@dataclass(frozen=True)
class Bank:
    """What is known of a world's trainings; those that are not are made, and kept in the build folder."""

    name: str
    arrays: Mapping[str, NDArray]

    @classmethod
    def of(cls, name: str) -> "Bank":
        """The bank of a world that is in the repository.

        Raises:
            ValueError: the file is not the one that was stored.
        """
        return cls(name, _kept(name))

    @cached_property
    def world(self) -> World:
        """The world, to train more.

        Raises:
            ValueError: its examples are no longer those that the bank was made with.
        """
        world = build_world(self.name)
        digest, known = world.digest, str(self.arrays["digest"])
        if digest != known:
            raise ValueError(
                f"{self.name} has examples of digest {digest}, but its bank was made with {known}. Install the "
                "versions of constraints.txt, or make the bank again"
            )
        return world

    @property
    def queries(self) -> tuple[int, int]:
        """How many queries tune, and how many judge."""
        tuning, judging = self.arrays["queries"].tolist()
        return tuning, judging

    @property
    def planned(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """What the trainings that everybody may use leave out, [K, S], and their seeds, [K]."""
        return unpacked(self.arrays), self.arrays["seed_K"]

    @property
    def size_S(self) -> NDArray[np.float64]:
        """Examples or bytes of every source."""
        return self.arrays["size_S"]

    @cached_property
    def learnt_S(self) -> NDArray[np.float64]:
        """Of these, as far as the model learnt from them: the token counts of the product's prior."""
        return learnt_tokens(self.size_S, self.arrays.get("eligible_S"), self.arrays["falls"])

    def estimate(self, name: str) -> NDArray[np.float64]:
        """What a cheap estimate says of every source under each replicate, totals over tuning queries, [R, S]."""
        return self.arrays[f"estimate_{name}"]

    def cost(self, name: str) -> tuple[float, float]:
        """Trainings that a replicate of an estimate costs: by trajectories, and by processor time side by side."""
        nominal, measured = self.arrays[f"cost_{name}"]
        return float(nominal), float(measured)

    @cached_property
    def _totals(self) -> dict[Key, NDArray[np.float64]]:
        """Totals over tuning and judging queries by seed and removed sources, those made on demand as well."""
        known, further = dict[Key, NDArray[np.float64]](), f"{self.name}-further"
        kept = [_kept(further)] if f"{further}.npz" in _sums() else []
        made = [np.load(MADE / f"{further}.npz")] if (MADE / f"{further}.npz").exists() else []
        for arrays in (*made, *kept, self.arrays):
            totals_K2 = np.stack([arrays["tuning_K"], arrays["judging_K"]], 1).astype(np.float64)
            known |= zip(_keys(arrays), totals_K2, strict=True)
        return known

    def complete(self, wanted: Iterable[tuple[NDArray, int]]) -> None:
        """Train what is not known of some (removed sources, seed), and full trainings of their seeds; keep it."""
        asked = {(int(seed), np.asarray(row, np.uint8).tobytes()) for row, seed in wanted}
        asked |= {(seed, bytes(len(self.size_S))) for seed, _ in asked}
        missing = sorted(asked - self._totals.keys())
        if not missing:
            return
        for seed, keys in groupby(missing, itemgetter(0)):
            rows = [row for _, row in keys]
            removed_KS = np.stack([np.frombuffer(row, np.uint8) for row in rows])
            for row, total_2 in zip(rows, self.world.trained(removed_KS, seed), strict=True):
                self._totals[seed, row] = np.float64(np.float32(total_2))
        further = sorted(self._totals.keys() - set(_keys(self.arrays)))
        _save(MADE / f"{self.name}-further.npz", _rows(further, [self._totals[key] for key in further]))

    def lost(self, removed_S: NDArray, seed: int, *, judging: bool = False) -> float:
        """By what the total of a full training is above that of one without some sources, same seed, nats."""
        self.complete([(removed_S, seed)])
        with_all = self._totals[seed, bytes(len(self.size_S))][int(judging)]
        return float(with_all - self._totals[seed, np.asarray(removed_S, np.uint8).tobytes()][int(judging)])

    def singles(self, seeds: Iterable[int], *, judging: bool = False) -> NDArray[np.float64]:
        """What every single source's removal loses under some seeds, [R, S] nats."""
        each = np.eye(len(self.size_S), dtype=np.uint8)
        return np.array([[self.lost(row_S, seed, judging=judging) for row_S in each] for seed in seeds])

    def truth(self) -> NDArray[np.float64]:
        """The singles under the seeds that judge, on the queries that judge, [R, S] nats."""
        return self.singles(truth_seeds(self.name), judging=True)


def unpacked(arrays: Mapping[str, NDArray]) -> NDArray[np.uint8]:
    """The removed sources of every training, [K, S] 0 or 1."""
    return np.unpackbits(arrays["removed_packed"], axis=1, count=int(arrays["sources"]))


def _keys(arrays: Mapping[str, NDArray]) -> list[Key]:
    return list(zip(arrays["seed_K"].tolist(), map(bytes, unpacked(arrays)), strict=True))


def _rows(keys: list[Key], totals: list[NDArray[np.float64]]) -> Arrays:
    removed_KS = np.stack([np.frombuffer(row, np.uint8) for _, row in keys])
    tuning_K, judging_K = np.array(totals, dtype=np.float32).T
    return {
        "seed_K": np.array([seed for seed, _ in keys], np.int32),
        "removed_packed": np.packbits(removed_KS, axis=1),
        "sources": np.array(removed_KS.shape[1]),
        "tuning_K": tuning_K,
        "judging_K": judging_K,
    }


def make(name: str) -> Arrays:
    """All that a bank holds of a world."""
    world, keys, totals = build_world(name), list[Key](), list[NDArray[np.float64]]()
    for seed in (*REPLICATES, *truth_seeds(name)):
        removed_KS = planned(world.sources, seed)
        for part in np.array_split(removed_KS, -(-len(removed_KS) // SIDE_BY_SIDE)):
            totals += list(world.trained(part, seed))
        keys += [(seed, row_S.tobytes()) for row_S in removed_KS]
    arrays = _rows(keys, totals) | {"size_S": world.size_S, "kinds": np.array(world.kinds)}
    arrays["digest"] = np.array(world.digest)
    arrays["queries"] = np.array([len(rows.query_ids) for rows in (world.tuning, world.judging)])
    if world.eligible_S is not None:
        arrays["eligible_S"] = world.eligible_S
    arrays["falls"] = np.array([world.falls(seed) for seed in REPLICATES])
    found = [estimates(world, seed, ESTIMATES) for seed in REPLICATES]
    for each in ESTIMATES:
        for part, kept in enumerate(("estimate", "judged")[: len(found[0][each].groups)]):
            arrays[f"{kept}_{each}"] = np.array([of_seed[each].groups[part].sum(0) for of_seed in found])
        arrays[f"cost_{each}"] = np.mean([(of_seed[each].nominal, of_seed[each].measured) for of_seed in found], 0)
    for part, kept in enumerate(("tuning", "judging")):
        groups = [of_seed[MAIN].groups[part] for of_seed in found]
        arrays[f"{kept}_groups"] = np.array(groups, dtype=np.float32)
    return arrays


def check(name: str, count: int = 6) -> None:
    """Train some rows of a bank again, and compare.

    Raises:
        ValueError: one differs by more than rounding.
    """
    bank = Bank.of(name)
    removed_KS, seed_K = bank.planned
    scale = float(np.abs(bank.truth()).mean())
    for k in np.random.default_rng().choice(len(seed_K), count, replace=False):
        [found] = bank.world.trained(removed_KS[k : k + 1], int(seed_K[k]))
        known = np.array([bank.arrays["tuning_K"][k], bank.arrays["judging_K"][k]])
        print(f"{name}, seed {seed_K[k]}, without {removed_KS[k].nonzero()[0]}: {found}, bank {known}")
        if not np.abs(found - known).max() <= TOLERANCE * scale + 1e-5 * np.abs(known).max():
            raise ValueError(f"{name}, row {k}: trained {found}, but the bank has {known}. Make the bank again")


def _save(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    beside.replace(path)


def _kept(name: str) -> Arrays:
    path = KEPT / f"{name}.npz"
    digest, known = hashlib.sha256(path.read_bytes()).hexdigest(), _sums()[path.name]
    if digest != known:
        raise ValueError(f"{path} has digest {digest}, expected {known}. Restore it, or make the bank again")
    return dict(np.load(path))


def _sums() -> dict[str, str]:
    lines = (KEPT / SUMS).read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def stored() -> set[str]:
    """The worlds that have a bank in the repository."""
    return {name.removesuffix(".npz") for name in _sums()}


def store(names: Iterable[str]) -> None:
    """Copy what was made into the repository, trainings on demand as well, with digests."""
    KEPT.mkdir(exist_ok=True)
    for path in (MADE / f"{name}{part}.npz" for name in names for part in ("", "-further")):
        if path.exists():
            shutil.copyfile(path, KEPT / path.name)
    paths = sorted(KEPT.glob("*.npz"))
    (KEPT / SUMS).write_text("".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in paths))


def main() -> None:
    """Make the worlds that are asked for, all by default, or check one."""
    parser = argparse.ArgumentParser(description=__doc__)
    everything = [*worlds(), *worlds(("size", "quality"), TUNING)]
    parser.add_argument("names", nargs="*", metavar="NAME", help="worlds; those that are made already are kept")
    parser.add_argument("--check", metavar="NAME", help="train some rows of a world again")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.check:
        check(asked.check)
        return
    names = asked.names or everything
    for name in names:
        if not (MADE / f"{name}.npz").exists():
            began = time.time()
            _save(MADE / f"{name}.npz", make(name))
            print(f"{name}: {time.time() - began:.0f} s", flush=True)
    store(names)


if __name__ == "__main__":
    main()
