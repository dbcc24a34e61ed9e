"""Estimators by name, their options, and the most influential examples of a source.

Legend: N examples of a source, Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained, groups_at_once
from tribute.estimators.methods.adamw_influence import AdamWInfluence
from tribute.estimators.methods.bm25 import Bm25
from tribute.estimators.methods.curvature.astra import Astra
from tribute.estimators.methods.curvature.conjugate_gradient import ConjugateGradient
from tribute.estimators.methods.curvature.ekfac import EkFac
from tribute.estimators.methods.curvature.source import SegmentUnrolling
from tribute.estimators.methods.for_value import ForValue
from tribute.estimators.methods.gradient_dot import GradientCosine, GradientDot
from tribute.estimators.methods.in_run import InRunFirst, InRunOptimizer, InRunSecond
from tribute.estimators.methods.nearest import Nearest
from tribute.estimators.methods.patches import Patches
from tribute.estimators.methods.representations import Representations
from tribute.estimators.methods.tracin import TracIn
from tribute.estimators.methods.trackstar import TrackStar
from tribute.estimators.methods.trak import Trak
from tribute.readout import QueryRows

ESTIMATORS: dict[str, type[Estimator]] = {
    "adamw_influence": AdamWInfluence,
    "conjugate_gradient": ConjugateGradient,
    "ekfac": EkFac,
    "astra": Astra,
    "source": SegmentUnrolling,
    "gradient_dot": GradientDot,
    "gradient_cosine": GradientCosine,
    "in_run_first": InRunFirst,
    "in_run_optimizer": InRunOptimizer,
    "in_run_second": InRunSecond,
    "tracin": TracIn,
    "trackstar": TrackStar,
    "trak": Trak,
    "for_value": ForValue,
    "representations": Representations,
    "bm25": Bm25,
    "nearest": Nearest,
    "patches": Patches,
}

TYPE_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
    Sequence[int]: "a list of whole numbers",
}
"""Types of options, in the words of error messages."""
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


class Examples(NamedTuple):
    """Training examples by descending influence: indices in the training set [Q, k], influences [Q, k]."""

    index_Qk: NDArray[np.int64]
    influence_Qk: NDArray[np.float64]


def build_estimator(name: str, options: Mapping[str, Any]) -> Estimator:
    """Build an estimator by name; `options` are its dataclass fields.

    Raises:
        ConfigError: the estimator does not exist, or rejects an option.
    """
    if name not in ESTIMATORS:
        raise ConfigError(
            f"Estimator {name!r} is unknown. Set attribution.method to simulation or one of "
            f"{', '.join(ESTIMATORS)}"
        )
    kinds = get_type_hints(ESTIMATORS[name])
    kinds = {each.name: kinds[each.name] for each in fields(ESTIMATORS[name])}  # type: ignore[arg-type]
    unknown = [option for option in options if option not in kinds]
    if unknown:
        raise ConfigError(
            f"Estimator {name} has no option {', '.join(unknown)}. Its options: {', '.join(kinds) or 'none'}"
        )
    return ESTIMATORS[name](**{key: _checked(name, key, kinds[key], value) for key, value in options.items()})


def is_model_free(settings: SimulationSettings) -> bool:
    """Whether settings ask for an estimator that ignores the model: all replicates have the same influences."""
    return settings.estimated and ESTIMATORS[settings.mode].model_free


def most_influential(
    estimator: Estimator,
    trained: Trained,
    fitted: NamedTensors,
    queries: QueryRows,
    source: int,
    count: int,
    memory_gib: float = 1.0,
) -> Examples:
    """The examples of a source with the largest influence on each query.

    Args:
        source: index in the training set. count: number of examples for each query. memory_gib: memory budget. If
        the source does not fit, it is gathered in parts. Each part costs the gradients
            of all queries again; for in-run estimators, also another replay of the training.
    """
    groups, parts = Groups.of_examples(trained.data, source), []
    size = groups_at_once(estimator, trained, memory_gib)
    for begin in range(0, groups.count, size):
        part = groups.part(begin, min(begin + size, groups.count))
        gathered = estimator.gather(trained, fitted, part)
        parts.append(estimator.influence(trained, fitted, gathered, queries).double().cpu().numpy())
    influence_QN = np.concatenate(parts, axis=1)
    order_Qk = np.argsort(-influence_QN, axis=1, kind="stable")[:, :count]
    return Examples(groups.chosen[order_Qk], np.take_along_axis(influence_QN, order_Qk, axis=1))


def _checked(name: str, option: str, kind: Any, value: Any) -> Any:
    """Check the value of an option; whole numbers become floats where a float is expected."""
    try:
        return TypeAdapter(kind, config=STRICT).validate_python(value)
    except ValidationError:
        kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        expected = " or ".join(TYPE_WORDS[each] for each in kinds)
        raise ConfigError(f"Estimator {name}: option {option} is {value!r}. Set it to {expected}") from None
