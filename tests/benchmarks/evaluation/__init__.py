"""Read-outs, estimators, baselines and other libraries, judged by real retraining: quality beside cost."""

from tests.benchmarks.evaluation.command import main

__all__ = ["main"]
