"""The stages of a valuation, one file each. A stage whose run id is committed is not run again."""

from tribute_jobs.stages.attribute import attribute
from tribute_jobs.stages.corpus import corpus
from tribute_jobs.stages.evaluate import evaluate
from tribute_jobs.stages.lost import make_again
from tribute_jobs.stages.retrain import retrain
from tribute_jobs.stages.settle import close, restate, settle
from tribute_jobs.stages.simulate import simulate
from tribute_jobs.stages.train import train
from tribute_jobs.stages.value import value

__all__ = [
    "attribute",
    "close",
    "corpus",
    "evaluate",
    "make_again",
    "restate",
    "retrain",
    "settle",
    "simulate",
    "train",
    "value",
]
