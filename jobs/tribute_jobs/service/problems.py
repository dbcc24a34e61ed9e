"""Answers to requests that failed: RFC 9457 problems, which name the remedy."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tribute.errors import ProofError, TooSlowError, TributeError
from tribute_jobs.exit_codes import ExitCode, code_of
from tribute_jobs.service.missing import Missing
from tribute_storage.errors import LakeError
from tribute_storage.outbox.uses import ContentConflict

RETRY_AFTER_S = 5
"""When to try again if another command is at work, or the machine refuses."""
MOST_FIELDS = 10
"""Fields of a request that a problem names; the others are counted."""
UNTOLD = "The service failed on this request. Its log says why: ask whoever operates it"
_log = logging.getLogger(__name__)


class ProblemDetails(BaseModel):
    """The body of a failed request (RFC 9457)."""

    type: str = Field("about:blank", description="always about:blank: the status says the kind")
    title: str
    status: int
    detail: str = Field(description="what was found, what was expected, and the remedy")


class HttpProblem(Exception):
    """A request that cannot be answered as asked.

    Args:
        title: the kind of problem, in a few words.
        detail: what was found, what was expected, and the remedy.
        headers: further headers of the answer, such as Retry-After.
    """

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, dict(headers or {})


class ProblemResponse(JSONResponse):
    """A problem as a response."""

    media_type = "application/problem+json"

    def __init__(self, problem: HttpProblem) -> None:
        content = ProblemDetails(title=problem.title, status=problem.status, detail=problem.detail)
        super().__init__(content.model_dump(), problem.status, problem.headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer, for its `responses=`."""
    content = {ProblemResponse.media_type: {"schema": ProblemDetails.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem_of(error: Exception) -> HttpProblem:
    """The problem of an error."""
    if isinstance(error, HttpProblem):
        return error
    if isinstance(error, TributeError | LakeError):
        return _refused(error)
    if isinstance(error, RequestValidationError):
        return HttpProblem(422, "Invalid request", _invalid(error.errors()))
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        return HttpProblem(error.status_code, phrase, str(error.detail), error.headers)
    return HttpProblem(500, "Defect", UNTOLD)


def told_problem(request: Request, error: Exception) -> HttpProblem:
    """The problem of an error as the caller is told it. A fault of this machine is logged.

    Who shows no key that is known is not told which of its files or stores is at fault.
    """
    problem = problem_of(error)
    if problem.status < 500:
        return problem
    _log.error("A request was answered with %s", problem.status, exc_info=error)
    if isinstance(error, HttpProblem) or getattr(request.state, "caller", None) is not None:
        return problem
    return HttpProblem(problem.status, problem.title, UNTOLD, problem.headers)


async def answered(request: Request, error: Exception) -> ProblemResponse:
    """The answer to a request that failed."""
    return ProblemResponse(told_problem(request, error))


def _refused(error: TributeError | LakeError) -> HttpProblem:
    """A refusal of ours: of the input, or, if the input is not at fault, of this machine."""
    if isinstance(error, Missing):
        return HttpProblem(404, "Not found", str(error))
    if isinstance(error, ContentConflict):
        return HttpProblem(409, "Used before", str(error))
    if isinstance(error, TooSlowError):
        return HttpProblem(504, "Too slow", str(error))
    code = code_of(error)
    if code in (ExitCode.MACHINE, ExitCode.BUSY):
        return HttpProblem(503, "Not now", str(error), {"Retry-After": str(RETRY_AFTER_S)})
    if code == ExitCode.DAMAGED or isinstance(error, ProofError):  # here it is of a bundle that this folder signed
        return HttpProblem(500, "Damaged file", str(error))
    return HttpProblem(422, "Cannot be done", str(error))


def _invalid(errors: Sequence[Any]) -> str:
    """What is wrong with the fields of a request, each with what is expected there."""
    lines = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in errors[:MOST_FIELDS]]
    rest = [f"and {len(errors) - MOST_FIELDS} more"] if len(errors) > MOST_FIELDS else []
    return "; ".join([*lines, *rest])
