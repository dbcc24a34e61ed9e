"""Values of a study's sources, from estimates and from real trainings without some sources until it is enough.

A recorded loop is replayed without them, a checkpoint is trained further: see `TrainingSettings.repetition`.

Legend: R replicates, Q queries, U units, S sources, K trainings.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.config import ReadoutSettings, SimulationSettings, ValuationSettings
from tribute.errors import ConfigError, SimulationError
from tribute.estimators import is_model_free
from tribute.evaluation import removal
from tribute.ids import listed
from tribute.readout import QueryRows
from tribute.simulation import Replicate, change_matrix
from tribute.study.attribution import Attribution
from tribute.study.runs import replicate_of
from tribute.study.values import Cost, Values
from tribute.valuation import (
    MAIN,
    Estimates,
    SourceSums,
    SourceValues,
    Trainings,
    query_uses,
    source_values,
    usage_totals,
)
from tribute.valuation.learnt import learnt_tokens
from tribute.valuation.steps import Seeds, ValuedBatch, diverged_text, next_step, require_payee
from tribute.valuation.terms import LeftOut, set_matrix
from tribute_storage.atomic import write_atomically

if TYPE_CHECKING:
    from tribute.study.model import StudiedModel

CHUNK = 10
"""Most trainings in one batch of trajectories: more than a step chooses."""
FILE = "trainings.json"
"""File in a study's folder that lists the trainings that its values have learnt from."""


class Training(NamedTuple):
    """A real training without some sources (indices), what it cost, in trainings, and the step that chose it."""

    seed: int
    removed: tuple[int, ...]
    cost: float
    step: int


class Learnt(NamedTuple):
    """What is known of the sources over some queries.

    ``estimates``: None for semivalues. ``cost``: of trainings without some sources. ``retrains``: their number.
    """

    estimates: Estimates | None
    cost: float
    retrains: int


def valued(study: "StudiedModel", attribution: Attribution, settings: ValuationSettings) -> Values:
    """Values as precise, or as dear, as the settings ask."""
    learnt = _learnt(study, attribution, settings)
    values = _values(study, attribution, learnt.estimates, settings)
    return Values(study.source_ids, study.tokens, values, _cost(study, attribution, learnt))


def transferred(study: "StudiedModel", tuning: Attribution, attribution: Attribution) -> SourceValues:
    """Values over the queries of one attribution, learnt on those of another, as an evaluation needs."""
    learnt = _learnt(study, tuning, study.valuation)
    estimates = learnt.estimates and replace(learnt.estimates, shared=False)
    return _values(study, attribution, estimates, study.valuation)


def _values(
    study: "StudiedModel", attribution: Attribution, estimates: Estimates | None, settings: ValuationSettings
) -> SourceValues:
    nats_RQS = attribution.influence_RQS.astype(np.float64)
    sums = SourceSums.of_queries(study.source_ids, nats_RQS, attribution.queries)
    sums = sums._replace(coalitions_PS=attribution.coalitions_PS)
    return source_values(settings, sums, _learnt_tokens(study), estimates)


def _learnt_tokens(study: "StudiedModel") -> NDArray[np.float64]:
    """Tokens of the sources as far as the trainings learnt from them, [S]."""
    fall_RS = [[each["loss_before_nats"] - each["loss_after_nats"] for each in rows] for rows in study.learning]
    return learnt_tokens(np.array(study.tokens, dtype=np.float64), None, np.array(fall_RS))


def _learnt(study: "StudiedModel", attribution: Attribution, settings: ValuationSettings) -> Learnt:
    """Estimates of a batch of queries, and trainings until values are precise enough; neither for semivalues."""
    require_payee(settings.publisher, study.source_ids)
    if attribution.settings.notion != "leave_one_out":
        return Learnt(None, 0.0, 0)
    estimates = _estimates(study, attribution, settings)
    if not estimates.uses:
        return Learnt(estimates, 0.0, 0)
    known, lost = _known(study), dict[Training, float]()
    learnt_S = _learnt_tokens(study)
    while True:
        new = _lost(study, attribution, [each for each in known if each not in lost])
        _remember(study, known)
        lost |= new
        if failed := [each for each, nats in new.items() if np.isnan(nats)]:
            names = [([study.source_ids[s] for s in each.removed], each.seed) for each in failed]
            study.runs.reporter.warned(diverged_text(names))
        estimates = replace(estimates, trainings=_trainings(lost, len(learnt_S)))
        diverged = tuple(LeftOut(each.removed, each.seed) for each, nats in lost.items() if np.isnan(nats))
        batch = ValuedBatch(estimates, learnt_S, np.eye(len(learnt_S)), study.source_ids, diverged)
        spent, seeds = sum(each.cost for each in known), _seeds(study, lost)
        step = next_step(settings, batch, spent, seeds)
        study.runs.reporter.working(step.text(settings))
        if not step.chosen:
            return Learnt(estimates, spent, len(known))
        number = 1 + max((each.step for each in known), default=0)
        known += [Training(each.seed, each.removed, cost, number) for each, cost in step.chosen]


def _estimates(study: "StudiedModel", attribution: Attribution, settings: ValuationSettings) -> Estimates:
    """Totals of the simulation and of further estimates."""
    units, replicates = [each.unit for each in attribution.units], study.replicates
    totals, rows = dict[str, NDArray[np.float64]](), QueryRows.of(attribution.queries)
    for index, further in enumerate(settings.further(attribution.settings, trains=True)):
        used = replicates[:1] if is_model_free(further) else replicates
        found = study.runs.simulate(used, further, units)
        readout = study.readout if further.mode == attribution.settings.mode else ReadoutSettings()
        influence_RQU, _ = study.runs.influence(used, further, found, rows, readout)
        totals[f"estimate {index}"] = _totals(attribution, influence_RQU)
    totals[MAIN] = _totals(attribution, attribution.influence_RQU)
    member_US = change_matrix(units, len(study.source_ids)).astype(np.float64)
    unit_ids = tuple(unit.unit_id for unit in units)
    seeds = tuple(each.seed for each in replicates)
    uses = float(query_uses(attribution.queries, None).sum())
    return Estimates("study", totals, unit_ids, member_US, Trainings.none(len(units)), seeds, uses)


def _totals(attribution: Attribution, influence_RQU: NDArray[np.float32]) -> NDArray[np.float64]:
    uses_Q = query_uses(attribution.queries, None)
    return np.asarray(np.einsum("q,rqu->ru", uses_Q, influence_RQU.astype(np.float64)))


def _lost(study: "StudiedModel", attribution: Attribution, trainings: Sequence[Training]) -> dict[Training, float]:
    """What trainings lost over all uses of the queries, nats; NaN: it diverged. Trains what is not there.

    Those of one step and seed run together, now and whenever they are read again.
    """
    settings, uses_Q = retraining(study), query_uses(attribution.queries, None)
    readout = study.readout.model_copy(update={"method": "difference"})
    found, rows = dict[Training, float](), QueryRows.of(attribution.queries)
    for step, seed in dict.fromkeys((each.step, each.seed) for each in trainings):
        together = [each for each in trainings if (each.step, each.seed) == (step, seed)]
        own = {removal(each.removed, study.source_ids): each for each in together}
        ordered = sorted(own, key=lambda unit: unit.unit_id)
        try:
            replicate = full_training(study, seed)
        except SimulationError:  # only a new seed can diverge here: the replicates are trained
            found |= dict.fromkeys(together, np.nan)
            continue
        units = study.runs.simulate([replicate], settings, ordered)
        influence_RQU, _ = study.runs.influence([replicate], settings, units, rows, readout)
        nats_U = usage_totals(uses_Q, influence_RQU[0]).tolist()
        found |= {own[each.unit]: nats for each, nats in zip(units, nats_U, strict=True)}
    return found


def retraining(study: "StudiedModel") -> SimulationSettings:
    """Settings of real trainings without sources."""
    return study.simulation.retraining(study.training.repetition, CHUNK)


def full_training(study: "StudiedModel", seed: int) -> Replicate:
    """The full training of a seed, of a checkpoint its further training; trained first where it is a new one.

    Raises:
        ConfigError: nothing was recorded under this seed.
    """
    if study.training.repetition == "continued":
        return replicate_of(study.runs.train([seed], retraining(study))[0])
    own = next((each for each in study.replicates if each.seed == seed), None)
    if own is None and study.training.recordings:
        seeds = listed(str(each.seed) for each in study.replicates)
        raise ConfigError(f"Nothing was recorded under seed {seed}, but under {seeds}. Record a further loop")
    return own or replicate_of(study.runs.train([seed])[0])


def _trainings(lost: dict[Training, float], sources: int) -> Trainings:
    finite = [each for each, nats in lost.items() if np.isfinite(nats)]
    removed_KS = set_matrix((each.removed for each in finite), sources)
    seed_K = np.array([each.seed for each in finite], dtype=np.int64)
    return Trainings(removed_KS.astype(np.float64), seed_K, np.array([lost[each] for each in finite])).ordered()


def _seeds(study: "StudiedModel", lost: dict[Training, float]) -> Seeds:
    """The seeds that can be trained under, and a new one; not those under which everything diverged."""
    own = [each.seed for each in study.replicates]
    finite = sorted({each.seed for each, nats in lost.items() if np.isfinite(nats)})
    new = 1 + max([*own, *(each.seed for each in lost)])
    return Seeds(tuple(dict.fromkeys([*own, *finite])), () if study.training.recordings else (new,))


def _known(study: "StudiedModel") -> list[Training]:
    """The trainings that earlier values of the study, or of its folder, have learnt from."""
    path = study.runs.folder / FILE
    rows = json.loads(path.read_text()) if path.is_file() else []
    return [Training(seed, tuple(removed), cost, step) for seed, removed, cost, step in rows]


def _remember(study: "StudiedModel", known: Sequence[Training]) -> None:
    if list(known) != _known(study):
        write_atomically(study.runs.folder / FILE, json.dumps(known).encode())


def _cost(study: "StudiedModel", attribution: Attribution, learnt: Learnt) -> Cost:
    """Steps of trajectories in trainings, and forward passes a query; an estimator's own are not counted."""
    settings: SimulationSettings = attribution.settings
    units, replicates, simulated = len(attribution.units), len(attribution.influence_RQS), 0.0
    if not settings.estimated:
        recipe, further = study.runs.recipe, settings.base == "continue"
        first = 0 if further else recipe.horizon_start(settings.horizon)
        steps = settings.steps if further else recipe.steps - first
        training = study.simulation.steps if study.training.checkpoint else recipe.steps
        simulated = (1 + units) * steps / training * replicates
    forwards = replicates * (1 + units) + learnt.retrains
    trained = 0 if study.training.checkpoint else replicates
    return Cost(trained + simulated + learnt.cost, learnt.retrains, forwards, study.training.repetition)
