"""The contract of a task, checked on a few real examples before anything is trained."""

from tribute.tasks.contract.check import check_contract, check_measurement
from tribute.tasks.contract.examples import TaskExamples, chosen_rows
from tribute.tasks.contract.finding import TaskFinding, refuse

__all__ = ["TaskExamples", "TaskFinding", "check_contract", "check_measurement", "chosen_rows", "refuse"]
