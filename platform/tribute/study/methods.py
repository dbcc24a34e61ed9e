"""Which method an attribution takes, by name."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tribute.config import SimulationSettings
from tribute.config.model import SIMULATED
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS, build_estimator


def chosen_settings(
    simulation: SimulationSettings, method: str | None, options: Mapping[str, Any] | None
) -> SimulationSettings:
    """The settings of a method; those of the study where they apply to it.

    Raises:
        ConfigError: there is no such method, or it does not take these options.
    """
    name, known = method or simulation.mode, (*SIMULATED, *ESTIMATORS)
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Methods: {', '.join(known)}"
        raise ConfigError(f"Method {name!r} is unknown. {hint}")
    keys: dict[str, Any] = {"mode": name} | ({} if options is None else {"options": dict(options)})
    try:
        settings = simulation.changed(keys)
    except ValidationError as error:
        [problem, *_] = error.errors()
        raise ConfigError(f"Method {name} cannot be used with these settings: {problem['msg']}") from None
    if settings.estimated:
        build_estimator(settings.mode, settings.options)
    return settings
