"""Settings of the valuation: how precise it is to be, or what it may cost."""

from typing import Any, NoReturn, Self

from pydantic import Field, StrictFloat, StrictInt, field_validator, model_validator

from tribute.config.model import SIMULATED, SimulationSettings
from tribute.config.section import Settings
from tribute.files import yaml_line
from tribute.ids import excerpt, short

NEAREST = "nearest"


class ValuationSettings(Settings):
    """Values and shares from influences, and from real trainings without some of the sources.

    Models are trained until the precision is reached or the budget is spent. If only one of the two is given, the
    other sets no limit. Recordings are replayed, and a checkpoint is trained further. Semivalues learn from no
    training.

    >>> tribute.ValuationSettings(precision=0.02).budget is None
    True
    """

    precision: StrictFloat | None = Field(
        0.05,
        gt=0,
        lt=1,
        description="expected misallocated pool, as a part of the pool, at which no further model is trained",
    )
    budget: StrictInt | None = Field(
        20,
        ge=0,
        description="most trainings without some of the sources for one trained model, over all months; 0 = none; "
        "empty: as many as the precision takes, but at most 10 a source",
    )
    estimates: tuple[dict[str, Any], ...] | None = Field(
        None,
        description="further estimates that the trainings weigh: {method: ESTIMATOR, options: ...}, or the keys "
        "that differ from `simulation`; empty: nearest neighbours, if the valuation trains at all; [] = none",
    )
    publisher: str | None = Field(
        None, description="the publisher whose share is to become precise; empty: all alike"
    )
    threshold: StrictFloat | None = Field(
        None,
        gt=0,
        lt=1,
        description="a share: trainings are chosen to find out on which side of it publishers stand",
    )
    seed: StrictInt = Field(0, ge=0, description="seed of the choice of trainings, and of the draws of values")
    resamples: StrictInt = Field(1000, ge=100, description="joint draws of all values, for intervals")

    @model_validator(mode="before")
    @classmethod
    def _one_of_two(cls, keys: Any) -> Any:
        if not isinstance(keys, dict):
            return keys
        if "shrinkage" in keys:
            raise ValueError(
                "shrinkage is no setting any more: real trainings decide the weight of token counts. Remove it; "
                "to pay by token counts, write policy: {basis: token_count}"
            )
        given = [name for name in ("precision", "budget") if keys.get(name) is not None]
        if not given and {"precision", "budget"} <= keys.keys():
            raise ValueError("precision and budget are both empty. Give one; budget: 0 trains nothing")
        return keys if len(given) != 1 else {"precision": None, "budget": None} | keys

    @field_validator("estimates", mode="before")
    @classmethod
    def _estimators_by_method(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [_by_mode(keys) if isinstance(keys, dict) else keys for keys in value]

    def _not_counted(self) -> set[str]:
        return {name for name in ("publisher", "threshold") if getattr(self, name) is None}

    def weighed(self, main: SimulationSettings, *, trains: bool) -> tuple[dict[str, Any], ...]:
        """The further estimates: `estimates`, or else nearest neighbours where anything is trained.

        Args:
            main: the simulation that the project pays by.
            trains: whether real trainings can measure the values.
        """
        if self.estimates is not None:
            return self.estimates
        return ({"mode": NEAREST},) if trains and self.budget != 0 and main.mode != NEAREST else ()

    def further(self, main: SimulationSettings, *, trains: bool) -> list[SimulationSettings]:
        """Settings of the further estimates; see `weighed`."""
        chosen = self.weighed(main, trains=trains)
        return [main.changed(keys).model_copy(update={"smoothness_sources": 0}) for keys in chosen]

    def asked(self, precision: float | None, budget: int | None) -> Self:
        """The same settings with another precision, or budget, or both."""
        if precision is None and budget is None:
            return self
        return type(self)(**self.model_dump() | {"precision": precision, "budget": budget})

    def line(self, **changed: Any) -> str:
        """The section as one line of project.yaml, with some keys changed; None: without that key.

        >>> tribute.ValuationSettings(budget=9).line(estimates=[{"mode": "ekfac"}])
        'valuation: {budget: 9, estimates: [{method: ekfac}]}'
        """
        limits = {name: getattr(self, name) for name in ("precision", "budget")}
        keys = self.model_dump(mode="json", exclude_defaults=True) | changed
        if keys.keys() & limits.keys():
            keys = limits | keys
        if keys.get("estimates"):
            keys["estimates"] = [_by_method(each) for each in keys["estimates"]]
        given = {name: value for name, value in keys.items() if value is not None}
        return yaml_line("valuation", given)


def refuse_calibration(old: Any, training: Any) -> NoReturn:
    """Say what to write instead of the section `calibration` of earlier versions.

    Raises:
        ValueError: always.
    """
    keys = old if isinstance(old, dict) else {}
    replicates = training.get("replicates", 3) if isinstance(training, dict) else 3
    spots = keys.get("spot_sources", 4)
    numbers = isinstance(spots, int) and isinstance(replicates, int)
    budget = spots * replicates if numbers else 20
    moved = "".join(f", {name}: (as it was)" for name in ("estimates", "seed") if name in keys)
    raise ValueError(
        f"calibration is now a part of valuation. Instead of it write valuation: {{budget: {budget}{moved}}}, or "
        "valuation: {precision: 0.05} for as many trainings as that takes"
    )


def _by_mode(keys: dict[str, Any]) -> dict[str, Any]:
    """Store `{method: ESTIMATOR}` as the mode, as `Project` does for `attribution`."""
    mode = keys.get("mode")
    if mode is not None and mode not in SIMULATED:
        raise ValueError(
            f"mode {excerpt(mode)} is neither paired nor tangent. For an estimator, write method: "
            f"{short(str(mode))}"
        )
    if "method" in keys and mode is not None:
        raise ValueError("give method, for an estimator, or mode, for a simulation, not both")
    return {"mode" if name == "method" else name: value for name, value in keys.items()}


def _by_method(keys: dict[str, Any]) -> dict[str, Any]:
    """The reverse of `_by_mode`: as people write it."""
    estimator = keys.get("mode", SIMULATED[0]) not in SIMULATED
    return {"method" if name == "mode" and estimator else name: value for name, value in keys.items()}
