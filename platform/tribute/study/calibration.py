"""Values of a study's sources, calibrated to real retraining without some of them.

Legend: R replicates, Q queries, U units, S sources.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tribute.config import ReadoutSettings, SimulationSettings
from tribute.readout import QueryRows
from tribute.simulation import Simulated, Unit, change_matrix
from tribute.study.attribution import Attribution
from tribute.study.runs import digest
from tribute.study.values import Cost, Values
from tribute.valuation import Estimates, SourceSums, SourceValues, query_uses, source_values, spot_sources
from tribute.valuation.aggregate import MAIN, RETRAINED

if TYPE_CHECKING:
    from tribute.study.model import StudiedModel

SPOT_CHUNK = 4
"""Sources retrained without in one batch of trajectories."""


def calibrated(study: "StudiedModel", attribution: Attribution, precision: float | None) -> Values:
    """Values with narrow enough intervals: `calibration.spot_sources` retrains, doubled until they are."""
    units = [each.unit for each in attribution.units]
    count = min(study.calibration.spot_sources, len(units)) if _retrains(study, attribution) else 0
    found = _valued(study, attribution, units, count)
    while precision is not None and 0 < count < len(units) and found.width > precision:
        count = min(2 * count, len(units))
        found = _valued(study, attribution, units, count)
    return found


def _retrains(study: "StudiedModel", attribution: Attribution) -> bool:
    """Whether sources can be retrained without: not for semivalues, nor for a model trained elsewhere."""
    return attribution.settings.notion == "leave_one_out" and study.training.checkpoint is None


def _valued(study: "StudiedModel", attribution: Attribution, units: list[Unit], spots: int) -> Values:
    tokens_S = np.array(study.tokens, dtype=np.float64)
    nats_RQS = attribution.influence_RQS.astype(np.float64)
    sums = SourceSums.of_queries(study.source_ids, nats_RQS, attribution.queries)
    sums = sums._replace(coalitions_PS=attribution.coalitions_PS)
    estimates = _estimates(study, attribution, units, spots) if spots else None
    values = source_values(study.valuation, sums, tokens_S, estimates, _seed(study, attribution))
    return Values(study.source_ids, study.tokens, values, _cost(study, attribution, spots))


def transferred(study: "StudiedModel", tuning: Attribution, attribution: Attribution) -> SourceValues:
    """Values over the queries of one attribution, calibrated on those of another, as an evaluation needs."""
    units = [each.unit for each in tuning.units]
    spots = min(study.calibration.spot_sources, len(units)) if _retrains(study, tuning) else 0
    estimates = _estimates(study, tuning, units, spots) if spots else None
    tokens_S, nats_RQS = np.array(study.tokens, dtype=np.float64), attribution.influence_RQS.astype(np.float64)
    sums = SourceSums.of_queries(study.source_ids, nats_RQS, attribution.queries)
    sums = sums._replace(coalitions_PS=attribution.coalitions_PS)
    return source_values(study.valuation, sums, tokens_S, estimates, _seed(study, attribution))


def _seed(study: "StudiedModel", attribution: Attribution) -> int:
    """The seed of the draws behind intervals."""
    return int(digest(attribution.queries.sha256, study.training.seed, attribution.method)[-8:], 16)


def _estimates(study: "StudiedModel", attribution: Attribution, units: list[Unit], spots: int) -> Estimates:
    """Totals of the simulation, of further estimates and of the retrained units."""
    tokens_S = np.array(study.tokens, dtype=np.float64)
    member_US = change_matrix(units, len(tokens_S)).astype(np.float64)
    chosen = spot_sources(member_US @ tokens_S, spots, study.calibration.seed)
    totals = {MAIN: _totals(attribution, attribution.influence_RQU, attribution.units, units)}
    for index, keys in enumerate(study.calibration.estimates):
        settings = attribution.settings.changed(keys).model_copy(update={"smoothness_sources": 0})
        totals[f"estimate {index}"] = _read(study, attribution, settings, units, units)
    retraining = study.simulation.retraining(SPOT_CHUNK)
    totals[RETRAINED] = _read(study, attribution, retraining, [units[spot] for spot in chosen], units)
    unit_ids = tuple(unit.unit_id for unit in units)
    return Estimates("study", dict(sorted(totals.items())), unit_ids, member_US)


def _read(
    study: "StudiedModel",
    attribution: Attribution,
    settings: SimulationSettings,
    some: list[Unit],
    units: list[Unit],
) -> NDArray[np.float64]:
    replicates = study.replicates
    found = study.runs.simulate(replicates, settings, some)
    readout = study.readout if settings.mode == attribution.settings.mode else ReadoutSettings()
    rows = QueryRows.of(attribution.queries)
    influence_RQU, _ = study.runs.influence(replicates, settings, found, rows, readout)
    return _totals(attribution, influence_RQU, found, units)


def _totals(
    attribution: Attribution,
    influence_RQU: NDArray[np.float32],
    found: "tuple[Simulated, ...] | list[Simulated]",
    units: list[Unit],
) -> NDArray[np.float64]:
    """Totals over the queries, [R, U] nats, of all units; NaN: not simulated, or failed."""
    uses_Q = query_uses(attribution.queries, None)
    position = {unit.unit_id: index for index, unit in enumerate(units)}
    totals_RU = np.full((len(influence_RQU), len(units)), np.nan)
    own = [position[each.unit.unit_id] for each in found]
    totals_RU[:, own] = np.einsum("q,rqu->ru", uses_Q, influence_RQU.astype(np.float64))
    return totals_RU


def _cost(study: "StudiedModel", attribution: Attribution, spots: int) -> Cost:
    """Steps of trajectories in trainings, and forward passes a query; an estimator's own are not counted."""
    settings, units = attribution.settings, len(attribution.units)
    replicates = len(attribution.influence_RQS)
    retrains, simulated = spots * replicates, 0.0
    if not settings.estimated:
        recipe = study.runs.recipe
        further = settings.base == "continue"
        first = 0 if further else recipe.horizon_start(settings.horizon)
        steps = settings.steps if further else recipe.steps - first
        simulated = (1 + units) * steps / recipe.steps * replicates
    forwards = replicates * (1 + units + spots)
    trained = 0 if study.training.checkpoint else replicates
    return Cost(trained + simulated + retrains, retrains, forwards)
