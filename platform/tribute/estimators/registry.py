"""Estimators by name, with their options, and what any of them says of single examples.

Legend: N examples of a source, Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained, groups_at_once
from tribute.estimators.methods.conjugate_gradient import ConjugateGradient
from tribute.estimators.methods.ekfac import EkFac
from tribute.estimators.methods.for_value import ForValue
from tribute.estimators.methods.gradient_dot import GradientCosine, GradientDot
from tribute.estimators.methods.in_context import InContext
from tribute.estimators.methods.in_run import InRunFirst, InRunOptimizer, InRunSecond
from tribute.estimators.methods.nearest import Nearest
from tribute.estimators.methods.patches import Patches
from tribute.estimators.methods.tracin import TracIn
from tribute.estimators.methods.trackstar import TrackStar
from tribute.estimators.methods.trak import Trak
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

EXPECTED = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
    Sequence[int]: "a list of whole numbers",
}
"""Types of options, in words."""
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


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
    kinds = get_type_hints(ESTIMATORS[name])
    kinds = {each.name: kinds[each.name] for each in fields(ESTIMATORS[name])}  # type: ignore[arg-type]
    unknown = [option for option in options if option not in kinds]
    if unknown:
        raise ConfigError(
            f"Estimator {name} does not take the options {', '.join(unknown)}. "
            f"Its options: {', '.join(kinds) or 'none'}"
        )
    return ESTIMATORS[name](**{key: _checked(name, key, kinds[key], value) for key, value in options.items()})


def most_influential(
    estimator: Estimator,
    trained: Trained,
    fitted: Kept,
    queries: QueryRows,
    source: int,
    count: int,
    memory_gib: float = 1.0,
) -> Examples:
    """The examples of a source that the estimator holds responsible for each query.

    Args:
        memory_gib: of what is gathered at once. Where that is less than the source needs, it is gathered in
            parts, each of which costs the queries' gradients anew, and an in-run estimator a training.
    """
    groups, parts = Groups.of_examples(trained.data, source), []
    size = groups_at_once(estimator, trained, memory_gib)
    for begin in range(0, groups.count, size):
        part = groups.part(begin, min(begin + size, groups.count))
        gathered = estimator.gather(trained, fitted, part)
        parts.append(estimator.influence(trained, fitted, gathered, queries).double().cpu().numpy())
    found_QN = np.concatenate(parts, axis=1)
    order_Qk = np.argsort(-found_QN, axis=1, kind="stable")[:, :count]
    return Examples(groups.chosen[order_Qk], np.take_along_axis(found_QN, order_Qk, axis=1))


def _checked(name: str, option: str, kind: Any, value: Any) -> Any:
    """The value of an option, a whole number made a float where one is expected."""
    try:
        return TypeAdapter(kind, config=STRICT).validate_python(value)
    except ValidationError:
        kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        expected = " or ".join(EXPECTED[each] for each in kinds)
        raise ConfigError(f"Estimator {name}: option {option} is {value!r}, but {expected} is expected") from None
