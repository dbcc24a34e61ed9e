"""Estimators by name, with their options, and what any of them says of single examples.

Legend: N examples of a source, Q queries.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.errors import ConfigError
from tribute.estimators.conjugate_gradient import ConjugateGradient
from tribute.estimators.ekfac import EkFac
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.for_value import ForValue
from tribute.estimators.gradient_dot import GradientCosine, GradientDot
from tribute.estimators.in_context import InContext
from tribute.estimators.in_run import InRunFirst, InRunOptimizer, InRunSecond
from tribute.estimators.nearest import Nearest
from tribute.estimators.patches import Patches
from tribute.estimators.tracin import TracIn
from tribute.estimators.trackstar import TrackStar
from tribute.estimators.trak import Trak
from tribute.readout import QueryRows

ESTIMATORS: dict[str, type[Estimator]] = {
    "conjugate_gradient": ConjugateGradient,
    "ekfac": EkFac,
    "gradient_dot": GradientDot,
    "gradient_cosine": GradientCosine,
    "in_run_first": InRunFirst,
    "in_run_optimizer": InRunOptimizer,
    "in_run_second": InRunSecond,
    "tracin": TracIn,
    "trackstar": TrackStar,
    "trak": Trak,
    "for_value": ForValue,
    "in_context": InContext,
    "nearest": Nearest,
    "patches": Patches,
}


class Examples(NamedTuple):
    """Training examples by influence, largest first: indices in the training set [Q, k], influences [Q, k]."""

    index_Qk: NDArray[np.int64]
    influence_Qk: NDArray[np.float64]


def build_estimator(name: str, options: Mapping[str, Any]) -> Estimator:
    """The estimator of a name; `options` are its dataclass fields.

    Raises:
        ConfigError: there is no such estimator, or it does not take these options.
    """
    if name not in ESTIMATORS:
        raise ConfigError(
            f"simulation.mode {name!r} is neither paired nor tangent, nor an estimator: {', '.join(ESTIMATORS)}"
        )
    try:
        return ESTIMATORS[name](**options)
    except TypeError:
        known = ", ".join(each.name for each in fields(ESTIMATORS[name])) or "none"  # type: ignore[arg-type]
        raise ConfigError(
            f"Estimator {name} does not take the options {', '.join(options)}. Its options: {known}"
        ) from None


def most_influential(
    estimator: Estimator, trained: Trained, fitted: Kept, queries: QueryRows, source: int, count: int
) -> Examples:
    """The examples of a source that the estimator holds responsible for each query."""
    groups = Groups.of_examples(trained.data, source)
    gathered = estimator.gather(trained, fitted, groups)
    found_QN = estimator.influence(trained, fitted, gathered, queries).double().cpu().numpy()
    order_Qk = np.argsort(-found_QN, axis=1, kind="stable")[:, :count]
    return Examples(groups.chosen[order_Qk], np.take_along_axis(found_QN, order_Qk, axis=1))
