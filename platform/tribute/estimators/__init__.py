"""Every estimator that users of data attribution would otherwise pick, under one interface."""

from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.methods import ESTIMATORS, build_estimator, most_influential

__all__ = ["ESTIMATORS", "Estimator", "Groups", "Kept", "Trained", "build_estimator", "most_influential"]
