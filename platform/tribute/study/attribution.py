"""What each source did for each query.

Legend: R replicates, Q queries, U units, S sources.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from tribute.config import SimulationSettings
from tribute.config.model import SIMULATED
from tribute.corpus import QueryTable
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS, build_estimator
from tribute.ids import excerpt
from tribute.readout import QueryRows
from tribute.simulation import ResponseFile, Simulated, design_of, drawn_units
from tribute.study.plots import heat_map
from tribute.study.table import Result, Row
from tribute.valuation import query_uses

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tribute.study.model import StudiedModel

NATS = ("paired", "tangent")
"""Methods whose influences are in nats; an estimator's docstring says what its own are in."""


@dataclass(frozen=True, repr=False)
class Attribution(Result):
    """Influence of every source on every query, the mean over the replicates.

    Positive: the source helped the query. In nats for `paired` and `tangent`; an estimator has a unit of its own.
    Shapes: Q queries, S sources, R replicates.

    Args:
        method: how it was computed.
        query_ids: [Q].
        source_ids: [S].
        influence_RQS: by replicate, [R, Q, S]; NaN where a simulation failed.
        measurement_Q: what the first replicate's model itself measures, [Q] nats.

    >>> influence = study.attribute(queries)
    >>> influence.influence_QS.shape
    (24, 3)
    >>> influence.to_pandas().shape
    (24, 4)
    """

    method: str
    query_ids: tuple[str, ...]
    source_ids: tuple[str, ...]
    influence_RQS: NDArray[np.float32]
    measurement_Q: NDArray[np.float64]
    queries: QueryTable
    settings: SimulationSettings
    units: tuple[Simulated, ...] = field(default=())
    influence_RQU: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    @property
    def influence_QS(self) -> NDArray[np.float64]:
        """Mean over the replicates whose simulation did not fail, [Q, S]; NaN where all failed."""
        counted_QS = np.isfinite(self.influence_RQS).sum(0)
        total_QS = np.nan_to_num(self.influence_RQS.astype(np.float64)).sum(0)
        return np.where(counted_QS > 0, total_QS / counted_QS.clip(1), np.nan)

    @property
    def coalitions_PS(self) -> NDArray[np.float64]:
        """Errors of the sums over the queries from sampled coalitions, as independent parts, [P, S]."""
        failed = [each.failed for each in self.units]
        tokens_S = np.ones(len(self.source_ids))  # of no effect on coalitions
        design = design_of(self.settings.notion, [each.unit for each in self.units], tokens_S, failed)
        return design.sampling_errors(
            query_uses(self.queries, None) @ self.influence_RQU.mean(0, dtype=np.float64)
        )

    @property
    def title(self) -> str:
        """Size and method."""
        unit = "nats" if self.method in NATS else "its own unit"
        return (
            f"Influence of {len(self.source_ids)} sources on {len(self.query_ids)} queries by {self.method}, "
            f"{len(self.influence_RQS)} replicate(s), {unit}; positive: the source helped"
        )

    def per_source(self, name: str) -> NDArray[np.float64]:
        """Numbers that an estimator keeps of each source, [R, S], such as `error_G` of `adamw_influence`.

        Raises:
            ConfigError: the method keeps no such numbers; names those that it keeps.
            DamagedFile: a file of the estimator is missing or damaged.
        """
        found_RS = np.full((len(self.influence_RQS), len(self.source_ids)), np.nan)
        numbers = dict[Path, Iterator[float]]()
        for each in self.units:
            for replicate, file in enumerate(each.files):
                if file is not None:
                    if file.path not in numbers:
                        numbers[file.path] = iter(self._kept(file, name))
                    found_RS[replicate, list(each.unit.removed)] = next(numbers[file.path])
        return found_RS

    def _kept(self, file: ResponseFile, name: str) -> list[float]:
        """Numbers of the units of a file, in their order."""
        tensors = file.load(torch.device("cpu")) if self.settings.estimated else {}
        kept = {key: values for key, values in tensors.items() if key.endswith("_G") and values.dim() == 1}
        if name not in kept:
            raise ConfigError(
                f"{self.method} keeps no {excerpt(name)} of each source, but {', '.join(kept) or 'no number'}. "
                "error_G is kept by adamw_influence, residual_G by conjugate_gradient"
            )
        found: list[float] = kept[name].tolist()
        return found

    def rows(self) -> list[Row]:
        """A row per query, a column per source."""
        return [
            {"query_id": query_id} | dict(zip(self.source_ids, values, strict=True))
            for query_id, values in zip(self.query_ids, self.influence_QS.tolist(), strict=True)
        ]

    def plot(self) -> "Axes":
        """A heat map of queries and sources."""
        return heat_map(self.influence_QS, self.source_ids, self.title)


def attributed(study: "StudiedModel", queries: QueryTable, settings: SimulationSettings) -> Attribution:
    """Simulate, or estimate, the sources of a study and read out queries; raises what `Study.attribute` does."""
    replicates, sources = study.replicates, len(study.source_ids)
    if not settings.estimated and settings.notion == "leave_one_out" and sources > settings.groups:
        raise ConfigError(
            f"{settings.mode} would simulate each of {sources} sources. If that is meant, raise simulation.groups "
            f"({settings.groups}) to {sources}; else take an estimator such as trak"
        )
    study.require_contract(settings, queries)
    units = drawn_units(settings, study.source_ids, study.training.seed)
    found = study.runs.simulate(replicates, settings, units)
    rows = QueryRows.of(queries)
    influence_RQU, measured_Q = study.runs.influence(replicates, settings, found, rows, study.readout)
    tokens_S, failed = np.array(study.tokens, dtype=np.float64), [each.failed for each in found]
    design = design_of(settings.notion, [each.unit for each in found], tokens_S, failed)
    influence_RQS = np.stack([design.influence(nats_QU) for nats_QU in influence_RQU]).astype(np.float32)
    return Attribution(
        settings.mode,
        queries.query_ids,
        study.source_ids,
        influence_RQS,
        measured_Q,
        queries,
        settings,
        tuple(found),
        influence_RQU,
    )


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
        raise ConfigError(f"Method {excerpt(name)} is unknown. {hint}")
    keys: dict[str, Any] = {"mode": name} | ({} if options is None else {"options": dict(options)})
    try:
        settings = simulation.changed(keys)
    except ValidationError as error:
        [problem, *_] = error.errors()
        told = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(f"Method {name} cannot be used with these settings: {told}") from None
    if settings.estimated:
        build_estimator(settings.mode, settings.options)
    return settings
