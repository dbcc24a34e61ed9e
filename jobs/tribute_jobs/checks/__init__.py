"""Checks of everything that a run reads, before it begins; `run`, `check` and `doctor` share them.

Names are imported on first use: what only prints results loads no model.
"""

from typing import TYPE_CHECKING

from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute_jobs.checks.checklist import Checklist, CheckResult, Passed, print_results
    from tribute_jobs.checks.project import check_project
    from tribute_jobs.checks.subject import PAID, QUERIED

__all__ = ["PAID", "QUERIED", "CheckResult", "Checklist", "Passed", "check_project", "print_results"]

__getattr__ = first_use(
    __name__,
    {
        "checklist": ["CheckResult", "Checklist", "Passed", "print_results"],
        "project": ["check_project"],
        "subject": ["PAID", "QUERIED"],
    },
)
