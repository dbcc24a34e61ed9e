"""Estimates judged by real retraining, on queries that nothing was tuned on.

Legend: Q queries, U units (sources, or groups of them), M random sets of units, P payees, N draws.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.evaluation.metrics import Figure, bootstrapped, misallocated, rank_correlation, seed_ceiling

Array = NDArray[np.float64]
LDS = ("lds_half_other_seed", "lds_half_same_seed", "lds_tenth_other_seed", "lds_tenth_same_seed")


@dataclass(frozen=True)
class Truth:
    """What retraining really lost on the figure queries.

    Args:
        one: without each unit, under every other seed, [Q, U] nats each.
        sets: the random sets by part (`half`, `tenth`), [M, U].
        lost: by part and whether under the `same` or an `other` seed, [Q, M] nats.
    """

    one: Sequence[Array]
    sets: Mapping[str, NDArray[np.bool_]]
    lost: Mapping[tuple[str, str], Array]

    @property
    def mean_QU(self) -> Array:
        """The expectation over seeds, as far as they go."""
        return np.asarray(np.mean(self.one, axis=0))

    def of(self, queries: slice) -> "Truth":
        """The same of some of the queries."""
        lost = {key: lost_QM[queries] for key, lost_QM in self.lost.items()}
        return Truth([one_QU[queries] for one_QU in self.one], self.sets, lost)

    def ceiling(self) -> dict[str, float | None]:
        """How well retraining itself does, judged by retraining under other seeds."""
        found = {
            f"lds_{part}": rank_correlation(self.lost[part, "same"], self.lost[part, "other"])
            for part in self.sets
        }
        return found | {"leave_source_out": seed_ceiling(self.one, rank_correlation)}


def judged_influence(influence_QU: Array, truth: Truth, resamples: int, seed: int) -> dict[str, Figure | None]:
    """LDS in four kinds and leave-source-out rank correlation of an estimate, with bootstrap intervals.

    Args:
        influence_QU: nats, or any unit that orders units and adds up.
    """
    found: dict[str, Figure | None] = {}
    for name in LDS:
        _, part, whose, _ = name.split("_")
        if (part, whose) in truth.lost:
            predicted_QM = influence_QU @ truth.sets[part].T
            found[name] = bootstrapped(predicted_QM, truth.lost[part, whose], resamples, seed)
    found["leave_source_out"] = bootstrapped(influence_QU, truth.mean_QU, resamples, seed)
    return found


def row(
    method: str,
    kind: str,
    figures: Mapping[str, Figure | None],
    wrong: float | None,
    prepare: float | None,
    query: float | None,
) -> dict[str, Any]:
    """A method's line in the certificate and the lake."""
    intervals = {
        name: figure._asdict() if (figure := figures.get(name)) else None for name in (*LDS, "leave_source_out")
    }
    return {
        "method": method,
        "kind": kind,
        **intervals,
        "misallocated_pool": wrong,
        "prepare_in_trainings": prepare,
        "query_in_forwards": query,
    }


def payee_intervals(
    names: Sequence[str], value_P: Array, draws_NP: Array, truth_P: Array, interval: Callable[[Array], Any]
) -> list[dict[str, Any]]:
    """Every payee's share with its 95% interval and the retrained truth, as parts of what is payable."""
    low_P, high_P = interval(draws_NP)
    paid, owed = (max(float(np.clip(values, 0, None).sum()), 1e-300) for values in (value_P, truth_P))
    return [
        {
            "source_id": name,
            "value": float(value_P[p] / paid),
            "low": float(low_P[p] / paid),
            "high": float(high_P[p] / paid),
            "truth": float(truth_P[p] / owed),
        }
        for p, name in enumerate(names)
    ]


def pool_figures(value_P: Array, tokens_P: Array, truths_P: Sequence[Array]) -> dict[str, float | None]:
    """Misallocated pool of the values, token count and equal shares, and the seeds' ceiling."""
    truth_P = np.mean(truths_P, axis=0)
    return {
        "misallocated_pool": misallocated(value_P, truth_P),
        "token_count": misallocated(tokens_P, truth_P),
        "equal": misallocated(np.ones_like(tokens_P), truth_P),
        "ceiling": seed_ceiling(truths_P, misallocated),
    }
