"""From responses to influences, by forward evaluations only."""

from tribute.readout.by_source import LiveTotals, LiveUses, SourceHead, live_totals, predicted_table
from tribute.readout.derivative import adjoint, jvp
from tribute.readout.difference import difference, shared_trunk
from tribute.readout.distilled import Distilled, Sample, difference_estimate, precise_estimate
from tribute.readout.features import FeatureSums, Passes, feature_sums, query_features
from tribute.readout.head import Head
from tribute.readout.methods import METHODS, candidates, clock, costs, forward_seconds, seconds
from tribute.readout.perturbed import (
    PerturbedModel,
    QueryRows,
    ReadOut,
    StoredResponses,
    stored_responses,
    tokens_of,
)
from tribute.readout.poisson import draw, draw_probability
from tribute.readout.prepared import PreparedReadOut
from tribute.readout.replicates import influence_rows, read_out, token_positions, token_rows
from tribute.readout.ridge import fit_head
from tribute.readout.shared_head import shared_head

__all__ = [
    "METHODS",
    "Distilled",
    "FeatureSums",
    "Head",
    "LiveTotals",
    "LiveUses",
    "Passes",
    "PerturbedModel",
    "PreparedReadOut",
    "QueryRows",
    "ReadOut",
    "Sample",
    "SourceHead",
    "StoredResponses",
    "adjoint",
    "candidates",
    "clock",
    "costs",
    "difference",
    "difference_estimate",
    "draw",
    "draw_probability",
    "feature_sums",
    "fit_head",
    "forward_seconds",
    "influence_rows",
    "jvp",
    "live_totals",
    "precise_estimate",
    "predicted_table",
    "query_features",
    "read_out",
    "seconds",
    "shared_head",
    "shared_trunk",
    "stored_responses",
    "token_positions",
    "token_rows",
    "tokens_of",
]
