"""The front door of tribute for notebooks and scripts: a study and its results."""

from tribute.study.attribution import Attribution
from tribute.study.check import TaskReport, check_task
from tribute.study.evaluation import EvaluationReport
from tribute.study.shares import Payout, Shares
from tribute.study.study import Study
from tribute.study.training import TrainingReport
from tribute.study.values import Cost, Values

__all__ = [
    "Attribution",
    "Cost",
    "EvaluationReport",
    "Payout",
    "Shares",
    "Study",
    "TaskReport",
    "TrainingReport",
    "Values",
    "check_task",
]
