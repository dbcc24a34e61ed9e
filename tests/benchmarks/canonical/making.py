"""Makes the retrainings of a setting's bank, and compares them with those that are stored.

Legend: M retrainings, K of them side by side, N training examples, Q queries.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.benchmarks.canonical.retraining import alone, deleted, in_place, initial_values, query_losses, trained
from tests.benchmarks.canonical.settings import OTHER_SEEDS, OWN_SEED, PerceptronSetting, bank_settings
from tribute.evaluation.bank import BankSettings, RetrainBank
from tribute.evaluation.metrics import rank_correlation

SIDE_BY_SIDE = 50
"""Trainings that run together."""


class Part(NamedTuple):
    """Some retrainings of one kind: what they kept, [K, N], their seeds, [K], and measurements, [K, Q] nats."""

    kind: str
    kept_KN: NDArray[np.bool_]
    seeds: list[int]
    measured_KQ: NDArray[np.floating]


def make(setting: PerceptronSetting) -> RetrainBank:
    """Train everything that the plan of a setting asks for; minutes of one core."""
    torch.set_num_threads(1)
    parts = [_everything(setting), *_singles(setting), *_halves(setting)]
    base, rest = parts[0], parts[1:]
    measured_MQ = np.concatenate([part.measured_KQ for part in rest])
    return RetrainBank(
        settings=described(setting),
        kept_MN=np.concatenate([part.kept_KN for part in rest]),
        kind_M=np.concatenate([np.full(len(part.seeds), part.kind) for part in rest]),
        seed_M=np.concatenate([np.array(part.seeds, dtype=np.int64) for part in rest]),
        measured_MQ=measured_MQ,
        base_BQ=base.measured_KQ,
        base_seed_B=np.array(base.seeds, dtype=np.int64),
    )


def described(setting: PerceptronSetting) -> BankSettings:
    """How the bank of a setting is made."""
    return bank_settings(
        setting,
        {
            "widths": list(setting.task.widths),
            "dropout": setting.task.dropout,
            "optimizer": setting.training.optimizer,
            "learning_rate": setting.training.learning_rate,
            "momentum": setting.training.momentum,
        },
    )


def retrained(setting: PerceptronSetting, kept_KN: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Measurements of trainings with weight 0 in place under the own seed, [K, Q] nats."""
    return _in_place(setting, "percent", kept_KN).measured_KQ


def differences(one: RetrainBank, other: RetrainBank) -> tuple[float, float]:
    """The largest difference of a measurement by the spread of its query, and the queries' mean rank correlation.

    Raises:
        ValueError: the banks hold other retrainings.
    """
    names = ("kept_MN", "kind_M", "seed_M")
    if not all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names):
        raise ValueError("The banks hold other retrainings: the setting was changed after one was made")
    first_MQ, second_MQ = (np.asarray(bank.measured_MQ, dtype=np.float64) for bank in (one, other))
    largest = np.abs(first_MQ - second_MQ) / second_MQ.std(0)
    return float(largest.max()), rank_correlation(first_MQ.T, second_MQ.T)


def _everything(setting: PerceptronSetting) -> Part:
    return _in_place(setting, "base", np.ones((1, setting.examples), dtype=bool))


def _singles(setting: PerceptronSetting) -> Iterator[Part]:
    if not setting.plan.singles:
        return
    kept_KN = np.ones((len(setting.singles), setting.examples), dtype=bool)
    kept_KN[np.arange(len(kept_KN)), setting.singles] = False
    yield _in_place(setting, "leave_one_out", kept_KN)
    if setting.plan.deleted:
        recipe = setting.recipe()
        first_KP = initial_values(recipe, [OWN_SEED] * len(kept_KN), _precision(setting))
        theta_KP = trained(recipe, first_KP, deleted(recipe, setting.singles.tolist()))
        yield Part("deleted", kept_KN, [OWN_SEED] * len(kept_KN), _measured(setting, theta_KP))


def _halves(setting: PerceptronSetting) -> Iterator[Part]:
    plan, recipe = setting.plan, setting.recipe()
    kept_MN = np.zeros((plan.halves, setting.examples), dtype=bool)
    np.put_along_axis(kept_MN, setting.kept_halves, True, 1)
    for begin in range(0, plan.same, SIDE_BY_SIDE):
        yield _in_place(setting, "half", kept_MN[begin : min(begin + SIDE_BY_SIDE, plan.same)])
    for run in range(plan.runs):
        for begin in range(0, plan.halves, SIDE_BY_SIDE):
            chosen = range(begin, min(begin + SIDE_BY_SIDE, plan.halves))
            seeds = [OTHER_SEEDS + run * plan.halves + m for m in chosen]
            steps = alone(recipe, setting.kept_halves[chosen.start : chosen.stop], seeds)
            theta_KP = trained(recipe, initial_values(recipe, seeds), steps)
            yield Part("half", kept_MN[chosen.start : chosen.stop], seeds, _measured(setting, theta_KP))
            print(f"{setting.name}: halves {begin} to {chosen.stop - 1}, run {run}", flush=True)


def _in_place(setting: PerceptronSetting, kind: str, kept_KN: NDArray[np.bool_]) -> Part:
    recipe, seeds = setting.recipe(), [OWN_SEED] * len(kept_KN)
    precision = torch.float32 if kind in ("half", "percent") else _precision(setting)
    theta_KP = trained(recipe, initial_values(recipe, seeds, precision), in_place(recipe, kept_KN))
    print(f"{setting.name}: {len(kept_KN)} of kind {kind}, in place", flush=True)
    return Part(kind, kept_KN, seeds, _measured(setting, theta_KP))


def _precision(setting: PerceptronSetting) -> torch.dtype:
    return torch.float64 if setting.plan.exact else torch.float32


def _measured(setting: PerceptronSetting, theta_KP: Tensor) -> NDArray[np.floating]:
    columns = setting.query_columns
    return -query_losses(setting.recipe(), theta_KP, columns["features"], columns["labels"]).numpy()
