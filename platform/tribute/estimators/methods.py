"""Estimators by name, with their options, and what any of them says of single examples.

Legend: N examples of a source, Q queries.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.gradient_dot import GradientCosine, GradientDot
from tribute.readout import QueryRows

ESTIMATORS: dict[str, type[Estimator]] = {
    "gradient_dot": GradientDot,
    "gradient_cosine": GradientCosine,
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
        raise ConfigError(f"There is no estimator {name!r}. There are: {', '.join(ESTIMATORS)}")
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
