"""Estimators of data attribution under one interface."""

from tribute.estimators.estimate import FITTED, Gathered, fit_once, fit_to, gather_to, largest_part
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.estimators.registry import ESTIMATORS, build_estimator, is_model_free, most_influential

__all__ = [
    "ESTIMATORS",
    "FITTED",
    "Estimator",
    "Gathered",
    "Groups",
    "NamedTensors",
    "Trained",
    "build_estimator",
    "fit_once",
    "fit_to",
    "gather_to",
    "is_model_free",
    "largest_part",
    "most_influential",
]
