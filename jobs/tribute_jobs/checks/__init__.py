"""Checks of everything that a run reads, before it begins; `run`, `check` and `doctor` share them."""

from tribute_jobs.checks.checklist import Checklist, CheckResult, Passed, print_results
from tribute_jobs.checks.project import check_project
from tribute_jobs.checks.subject import PAID, QUERIED

__all__ = ["PAID", "QUERIED", "CheckResult", "Checklist", "Passed", "check_project", "print_results"]
