"""Problems as pages: a browser shows why a page is not there, or where to sign in."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tribute.errors import TributeError
from tribute_jobs.service.pages.addresses import own_address, own_path, redirect
from tribute_jobs.service.pages.rendering import page
from tribute_jobs.service.pages.wording import path
from tribute_jobs.service.problems import HttpProblem, answered, told_problem
from tribute_storage import LakeError

MACHINES = ("/v1/", "/metrics", "/healthz", "/readyz", "/static/")
"""Paths whose problems are JSON."""


def install(app: FastAPI) -> None:
    """Answer every error with a problem, or with a page that shows it to a browser.

    What nobody foresaw is logged, and its text stays here.
    """
    for kind in (HttpProblem, TributeError, LakeError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page or own_path(request).startswith(MACHINES):
        return await answered(request, error)
    problem = told_problem(request, error)
    if problem.status == 401 and request.method == "GET":
        here = own_address(request)
        return redirect(request, "/sign-in" if here == "/" else f"/sign-in?next={path(here)}")
    response = page(request, "problem.html.j2", problem.status, problem=problem)
    response.headers.update(problem.headers)
    return response
