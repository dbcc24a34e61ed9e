"""Values of the sources of a period: the posterior of a batch of queries, carried over to the period.

Legend: R replicates, G groups of queries, N draws, U units, P pairs of coalitions, S sources.
"""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.config import ValuationSettings
from tribute.valuation.aggregate import SourceSums, filled
from tribute.valuation.estimates import MAIN, Estimates
from tribute.valuation.posterior import Posterior

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SourceValues:
    """Totals of sources as measured and as valued, [S] nats, and joint draws of the latter, [N, S].

    ``token_weight``: the part of the values that goes by token counts, 0 to 1. ``note``: what they rest on, JSON.
    """

    attribution_S: Array
    value_S: Array
    draws_NS: Array
    token_weight: float
    note: str


def source_values(
    settings: ValuationSettings, sums: SourceSums, tokens_S: Array, estimates: Estimates | None
) -> SourceValues:
    """Values of a period from its sums, and from the estimates and real trainings of a batch of queries.

    The values of the batch are scaled to the period, moved by what the simulation says of its other queries, and
    divided within groups by tokens: v' = growth (v + beta (x' / growth - x)), where x and x' are the simulated
    totals of the batch and of the period, and beta is the simulation's coefficient. Errors of the simulated totals
    count <v, x> / <x, x>, which is what a simulated nat is worth whatever explains it. Without uses every value
    and both ends of its interval are 0.

    Args:
        tokens_S: learnt tokens, [S]: see `learnt_tokens`.
        estimates: of a batch of queries; None: the period's own sums are the only estimate.
    """
    if not sums.uses:
        return _nothing(settings, len(tokens_S))
    totals_RS = filled(sums.nats_RGS, tokens_S / tokens_S.sum()).sum(1)
    batch = estimates or Estimates.of_sources(sums.source_ids, totals_RS)
    tokens_U = batch.member_US @ tokens_S
    found = batch.posterior(tokens_S, settings.resamples, settings.seed)
    growth, worth, moved_U = _carried(batch.totals[MAIN], totals_RS @ batch.member_US.T, tokens_U, found)
    part_US = batch.member_US * tokens_S / tokens_U[:, None]
    draws_NS = growth * (found.draws_NS + moved_U) @ part_US
    draws_NS += growth * division_errors(found, part_US, tokens_S, settings)
    draws_NS += worth * (_doubt(sums, settings) + _carrying(sums, batch, settings))
    return SourceValues(
        totals_RS.mean(0),
        growth * (found.mean_S + moved_U) @ part_US,
        draws_NS,
        found.token_weight,
        json.dumps(_note(batch, found)),
    )


def _nothing(settings: ValuationSettings, sources: int) -> SourceValues:
    zero_S = np.zeros(sources)
    note = json.dumps({"trainings": [], "coefficients": {}})
    return SourceValues(zero_S, zero_S, np.zeros((settings.resamples, sources)), 1.0, note)


def _carried(batch_RU: Array, period_RU: Array, tokens_U: Array, found: Posterior) -> tuple[float, float, Array]:
    """How a batch's values become the period's: growth, worth, and differences [U].

    ``growth``: size of the period in batches. ``worth``: nats of value per simulated nat, at least 0. Differences:
    of the period's values, divided by growth, from the batch's, nats.
    """
    share_U = tokens_U / tokens_U.sum()
    batch_U, period_U = (filled(nats_RU[:, None], share_U)[:, 0].mean(0) for nats_RU in (batch_RU, period_RU))
    before, after = (float(np.clip(nats_U, 0, None).sum()) for nats_U in (batch_U, period_U))
    growth = after / before if before and after else 1.0
    worth = max(0.0, float(found.mean_S @ batch_U / max(batch_U @ batch_U, 1e-300)))
    return growth, worth, found.coefficients.get(MAIN, 0.0) * (period_U / growth - batch_U)


def division_errors(found: Posterior, part_US: Array, tokens_S: Array, settings: ValuationSettings) -> Array:
    """Errors of dividing units by token counts, [N, S] nats; they sum to 0 within each unit.

    What a source's own value deviates by has a variance in proportion to its tokens, so members deviate like a
    bridge given their unit's total. A source that is a unit of its own does not deviate.

    Args:
        part_US: parts by which units are divided among sources, [U, S].
    """
    own_H = np.square(found.scale_H) * found.variance_HI[:, len(found.terms.mean_J)]
    noise_NS = np.random.default_rng([settings.seed, 1]).standard_normal((settings.resamples, len(tokens_S)))
    noise_NS *= np.sqrt(own_H.mean() * len(part_US) * tokens_S / tokens_S.sum())
    return np.asarray(noise_NS - noise_NS @ (part_US > 0).T @ part_US)


def _doubt(sums: SourceSums, settings: ValuationSettings) -> Array:
    """Errors of the sums, [N, S] nats: as large as the influence of queries unlike the corpus; and of sampling.

    A query that is read out with probability p adds u^2 e^2 (1 - p) / p to the variance of a sum, where e is what
    its prediction misses; the residuals of drawn queries have the variance u^2 e^2 / p. Few sampled coalitions
    tell little of their own error, so it is drawn from Student's t.
    """
    rng = np.random.default_rng([settings.seed, 2])
    doubt_NS = rng.standard_normal((settings.resamples, len(sums.ood_S))) * np.abs(sums.ood_S)
    if sums.residual_GS.any():
        drawn_NG = rng.standard_normal((settings.resamples, len(sums.residual_GS)))
        doubt_NS += np.sqrt(1 - sums.drawn) * drawn_NG @ (sums.residual_GS - sums.residual_GS.mean(0))
    if pairs := len(sums.coalitions_PS):
        drawn_NP = rng.standard_normal((settings.resamples, pairs))
        drawn_NP /= np.sqrt(rng.chisquare(pairs - 1, (settings.resamples, 1)) / (pairs - 1))
        doubt_NS += drawn_NP @ sums.coalitions_PS
    return doubt_NS


def _carrying(sums: SourceSums, batch: Estimates, settings: ValuationSettings) -> Array:
    """Errors of valuing n uses by n' others, [N, S] nats: as large as those of the simulated totals themselves.

    The total of n uses that no training was read out on has the variance n (1 + n / n') of one use's. Of the
    residuals of drawn queries, only the part that is no sampling error varies from use to use.
    """
    new = sums.uses - batch.uses if batch.shared else sums.uses
    if not batch.uses or new <= 0:
        return np.zeros((1, len(sums.ood_S)))
    nats_GS = filled(sums.nats_RGS, np.full(len(sums.ood_S), 1 / len(sums.ood_S))).mean(0)
    rng, factor = np.random.default_rng([settings.seed, 3]), new / sums.uses * (1 + new / batch.uses)
    parts = [nats_GS]
    if sums.residual_GS.any():
        parts = [nats_GS - sums.residual_GS, np.sqrt(sums.drawn) * sums.residual_GS]
    error_NS = np.zeros((settings.resamples, len(sums.ood_S)))
    for part_GS in parts:
        drawn_NG = rng.standard_normal((settings.resamples, len(part_GS)))
        error_NS += np.sqrt(factor) * drawn_NG @ (part_GS - part_GS.mean(0))
    return error_NS


def _note(batch: Estimates, found: Posterior) -> dict[str, object]:
    """What the values rest on: the trainings, the estimates' coefficients, and the queries of both."""
    removed = [[batch.unit_ids[u] for u in np.flatnonzero(row_U)] for row_U in batch.trainings.removed_KS]
    seeds = batch.trainings.seed_K.tolist()
    return {
        "trainings": [{"seed": seed, "without": units} for seed, units in zip(seeds, removed, strict=True)],
        "coefficients": found.coefficients,
        "queries_of": batch.attribute_run,
    }
