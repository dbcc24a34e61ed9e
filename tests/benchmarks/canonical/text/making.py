"""The retrainings of the transformer, by the product's own training, in two processes.

Legend: M retrainings, K of them in a call, N training examples, Q queries.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.canonical.settings import OTHER_SEEDS, OWN_SEED, bank_settings
from tests.benchmarks.canonical.text.setting import TextSetting
from tests.benchmarks.canonical.text.windows import SHA256
from tests.benchmarks.worlds import in_processes
from tribute.evaluation.bank import BankSettings, RetrainBank
from tribute.tasks import joined

TOGETHER = 10
"""Trainings of a call."""


class Training(NamedTuple):
    """A retraining: its kind, the examples that it keeps, [N], its seed, and whether others are absent, not 0."""

    kind: str
    kept_N: NDArray[np.bool_]
    seed: int
    alone: bool = False


def make_text(setting: TextSetting) -> RetrainBank:
    """Train everything that the plan of a setting asks for; six minutes of processor time for the transformer."""
    everything = Training("base", np.ones(setting.examples, dtype=bool), OWN_SEED)
    rest = planned(setting)
    base_Q, *measured = measure_all(setting, [everything, *rest])
    return RetrainBank(
        settings=described_text(setting),
        kept_MN=np.stack([each.kept_N for each in rest]),
        kind_M=np.array([each.kind for each in rest]),
        seed_M=np.array([each.seed for each in rest], dtype=np.int64),
        measured_MQ=np.stack(measured),
        base_BQ=base_Q[None],
        base_seed_B=np.array([OWN_SEED], dtype=np.int64),
    )


def planned(setting: TextSetting) -> list[Training]:
    """All retrainings of a bank."""
    plan = setting.plan
    percents = [Training("percent", kept_N, OWN_SEED) for kept_N in setting.kept_percents]
    same = [Training("half", kept_N, OWN_SEED) for kept_N in setting.kept_halves[: plan.same]]
    others = [
        Training("half", kept_N, OTHER_SEEDS + run * plan.halves + m, alone=True)
        for run in range(plan.runs)
        for m, kept_N in enumerate(setting.kept_halves)
    ]
    return [*percents, *same, *others]


def described_text(setting: TextSetting) -> BankSettings:
    """How the bank of a setting is made."""
    training = setting.training
    return bank_settings(
        setting,
        {
            **setting.task.options,
            "text_sha256": SHA256,
            "optimizer": training.optimizer,
            "learning_rate": training.learning_rate,
            "schedule": training.schedule,
            "warmup": training.warmup,
            "final_rate": training.final_rate,
            "eps_root": training.eps_root,
            "plan_percents": setting.percents,
        },
    )


def retrained_text(setting: TextSetting, kept_KN: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Measurements of trainings with weight 0 in place under the own seed, [K, Q] nats."""
    return np.stack(measure_all(setting, [Training("percent", kept_N, OWN_SEED) for kept_N in kept_KN]))


def measure_all(setting: TextSetting, trainings: Sequence[Training]) -> list[NDArray[np.floating]]:
    """What every training measures of the queries, [Q] nats each."""
    parts = [trainings[begin : begin + TOGETHER] for begin in range(0, len(trainings), TOGETHER)]
    if len(parts) == 1:
        return _measured(setting, trainings)
    return [row_Q for rows in in_processes(_measured, [(setting, part) for part in parts]) for row_Q in rows]


def _measured(setting: TextSetting, trainings: Sequence[Training]) -> list[NDArray[np.floating]]:
    torch.set_num_threads(1)
    found = [measured(setting, training) for training in trainings]
    print(f"{setting.name}: {len(trainings)} trainings, {trainings[0].kind}, seed {trainings[0].seed}", flush=True)
    return found


def measured(setting: TextSetting, training: Training) -> NDArray[np.floating]:
    """What a training measures of the queries, [Q] nats."""
    if training.alone:
        recipe = setting.recipe_alone(training.kept_N, training.seed)
        weights_S = torch.ones(len(recipe.data))
    else:
        recipe, weights_S = setting.recipe(training.seed), torch.from_numpy(training.kept_N).float()
    theta_P = joined(recipe.run(recipe.initial(), range(recipe.steps), weights_S).theta)
    queries = {name: torch.from_numpy(values) for name, values in setting.query_rows.columns.items()}
    with torch.no_grad():
        return np.asarray(recipe.task.measure(theta_P, queries).numpy())
