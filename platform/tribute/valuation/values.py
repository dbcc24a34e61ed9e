"""Values of the sources of a period: calibrated to retraining if there is any, otherwise shrunk to token counts.

Legend: R replicates, G groups of queries, N draws, U units, S sources.
"""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.config import ValuationSettings
from tribute.valuation.aggregate import MAIN, RETRAINED, Estimates, SourceSums, filled
from tribute.valuation.calibration import MIN_SPOT_SOURCES, Calibration, calibrate, share_of_total
from tribute.valuation.intervals import resampled_totals
from tribute.valuation.shrinkage import shrink, token_weight

Array = NDArray[np.float64]
UNKNOWN_BIAS = 0.5
"""Standard error of uncalibrated values, as a part of their departure from token counts."""


@dataclass(frozen=True)
class SourceValues:
    """Totals of sources before and after calibration, [S] nats, and draws of the calibrated totals, [N, S]."""

    attribution_S: Array
    value_S: Array
    draws_NS: Array
    token_weight: float
    note: str


def source_values(
    settings: ValuationSettings, sums: SourceSums, tokens_S: Array, estimates: Estimates | None, seed: int
) -> SourceValues:
    """Values of a period from its sums; calibrated if enough units were retrained without.

    Without queries every value and both ends of its interval are 0.
    """
    if not sums.queries:
        return _nothing(settings, len(tokens_S))
    nats_RGS = filled(sums.nats_RGS, tokens_S / tokens_S.sum())
    if estimates is not None and settings.shrinkage == "auto":
        truth_RU = estimates.totals[RETRAINED]
        spots = np.flatnonzero(np.isfinite(truth_RU).any(0))
        if len(spots) >= MIN_SPOT_SOURCES and np.nansum(truth_RU) <= 0:
            settings = settings.model_copy(
                update={"shrinkage": 1.0}
            )  # retraining shows no positive value to divide
        elif len(spots) >= MIN_SPOT_SOURCES:
            features = {name: nats_RU for name, nats_RU in estimates.totals.items() if name != RETRAINED}
            tokens_U = estimates.member_US @ tokens_S
            calibration = calibrate(features, tokens_U, spots.tolist(), truth_RU[:, spots])
            spot_units = [estimates.unit_ids[spot] for spot in spots]
            return _calibrated(sums, nats_RGS, estimates, calibration, tokens_S, spot_units, settings, seed)
    return _shrunk(settings, sums, nats_RGS, tokens_S / tokens_S.sum(), seed)


def _nothing(settings: ValuationSettings, sources: int) -> SourceValues:
    zero_S, note = np.zeros(sources), {"calibrated": False, "token_weight": 1.0, "intervals": "no queries"}
    return SourceValues(zero_S, zero_S, np.zeros((settings.resamples, sources)), 1.0, json.dumps(note))


def _doubt(sums: SourceSums, resamples: int, seed: int, *, sampling: bool) -> Array:
    """Errors of the sums, [N, S] nats: as large as the influence of queries unlike the corpus; and of sampling.

    Few sampled coalitions tell little of their own error, so it is drawn from Student's t.
    """
    rng = np.random.default_rng([seed, 2])
    doubt_NS = rng.standard_normal((resamples, len(sums.ood_S))) * np.abs(sums.ood_S)
    if sampling and sums.residual_GS.any():
        drawn_NG = rng.standard_normal((resamples, len(sums.residual_GS)))
        doubt_NS += drawn_NG @ (sums.residual_GS - sums.residual_GS.mean(0))
    if pairs := len(sums.coalitions_PS):
        drawn_NP = rng.standard_normal((resamples, pairs))
        drawn_NP /= np.sqrt(rng.chisquare(pairs - 1, (resamples, 1)) / (pairs - 1))
        doubt_NS += drawn_NP @ sums.coalitions_PS
    return doubt_NS


def _shrunk(
    settings: ValuationSettings, sums: SourceSums, nats_RGS: Array, share_S: Array, seed: int
) -> SourceValues:
    """Values shrunk towards token counts, by the disagreement of the replicates."""
    totals_RS = nats_RGS.sum(1)
    total_S = totals_RS.mean(0)
    kappa = token_weight(totals_RS, share_S) if isinstance(settings.shrinkage, str) else settings.shrinkage
    draws_NS = shrink(resampled_totals(nats_RGS, settings.resamples, seed), share_S, kappa)
    departure_S = np.abs(total_S - np.clip(total_S, 0, None).sum() * share_S)
    noise_NS = np.random.default_rng([seed, 1]).standard_normal(draws_NS.shape)
    doubt_NS = (1 - kappa) * _doubt(
        sums, settings.resamples, seed, sampling=False
    )  # resampling covers the sampling error
    note = {
        "calibrated": False,
        "token_weight": kappa,
        "intervals": "queries, replicates, sampled coalitions and unknown bias",
    }
    return SourceValues(
        total_S,
        shrink(total_S, share_S, kappa),
        draws_NS + UNKNOWN_BIAS * departure_S * noise_NS + doubt_NS,
        kappa,
        json.dumps(note),
    )


def _calibrated(
    sums: SourceSums,
    nats_RGS: Array,
    estimates: Estimates,
    calibration: Calibration,
    tokens_S: Array,
    spot_units: list[str],
    settings: ValuationSettings,
    seed: int,
) -> SourceValues:
    """Values of the calibrated batch, scaled to all queries of the period and divided within groups.

    v' = growth (v + beta (x' - x)): x and x' are the simulated shares of the batch and of the period.
    """
    totals_RS, resamples = nats_RGS.sum(1), settings.resamples
    tokens_U, batch_RU = estimates.member_US @ tokens_S, estimates.totals[MAIN]
    share_U, all_RU = tokens_U / tokens_U.sum(), totals_RS @ estimates.member_US.T
    (before_U, batch), (after_U, period) = (share_of_total(nats_RU, share_U) for nats_RU in (batch_RU, all_RU))
    moved_U, growth = calibration.features[MAIN] * (after_U - before_U), period / batch if batch else 1.0
    part_US = estimates.member_US * tokens_S / tokens_U[:, None]
    draws_NS = (calibration.draws(resamples, seed) + moved_U) @ part_US
    draws_NS += calibration.inside(part_US, tokens_S / tokens_S.sum(), resamples, seed + 1)
    draws_NS += calibration.features[MAIN] / (period or 1.0) * _doubt(sums, resamples, seed, sampling=True)
    note = {
        "calibrated": True,
        "spot_units": spot_units,
        "queries_of": estimates.attribute_run,
        "coefficients": calibration.features,
        "cross_validation_error": calibration.cv_error,
        "degrees_of_freedom": calibration.degrees_of_freedom,
        "intervals": "residuals of left-out spot units, Student's t; sampled queries; queries unlike the corpus",
    }
    return SourceValues(
        totals_RS.mean(0),
        growth * (calibration.value_S + moved_U) @ part_US,
        growth * draws_NS,
        calibration.token_weight,
        json.dumps(note),
    )
