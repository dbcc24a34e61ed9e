"""From responses to influences, by forward evaluations only."""

from tribute.readout.derivative import adjoint, jvp
from tribute.readout.difference import difference, shared_trunk
from tribute.readout.distilled import Distilled, Sample, difference_estimate, fit_head, precise_estimate
from tribute.readout.features import FeatureSums, feature_sums, query_features
from tribute.readout.methods import METHODS, candidates, costs, forward_seconds, seconds
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.readout.replicates import influence_rows, read_out

__all__ = [
    "METHODS",
    "Distilled",
    "FeatureSums",
    "PerturbedModel",
    "QueryRows",
    "ReadOut",
    "Sample",
    "adjoint",
    "candidates",
    "costs",
    "difference",
    "difference_estimate",
    "feature_sums",
    "fit_head",
    "forward_seconds",
    "influence_rows",
    "jvp",
    "precise_estimate",
    "query_features",
    "read_out",
    "seconds",
    "shared_trunk",
]
