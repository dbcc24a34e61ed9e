"""The web application of a service: every router, and one form of error."""

from importlib.metadata import version

from fastapi import FastAPI

from tribute_jobs.service import pages
from tribute_jobs.service.closing import Closings
from tribute_jobs.service.context import Service
from tribute_jobs.service.figures import MeasuredRequests, RequestFigures
from tribute_jobs.service.pages import errors, session
from tribute_jobs.service.problems import documented
from tribute_jobs.service.readiness import RecentReadiness
from tribute_jobs.service.routes import attributions, evidence, health, reports, statements, valuations

ROUTERS = (
    *(health.router, attributions.router, reports.router, valuations.router, statements.router, evidence.router),
    *pages.ROUTERS,
)
"""All routers; a route that is not here does not exist. Their class is `ServiceRoute`, to money `AuditedRoute`."""
OPEN = frozenset(("/healthz", "/readyz", "/v1/openapi.json")) | session.OPEN
"""Paths that everybody may ask for. Every other route has a guard; a test looks at all of them."""


def web(service: Service) -> FastAPI:
    """The application. Routes find the service by `tribute_jobs.service.context.service_of`."""
    app = FastAPI(
        title="tribute",
        summary="Which sources shaped an answer, and what each publisher's were worth in a month",
        version=version("tribute"),
        openapi_url="/v1/openapi.json",
        docs_url=None,  # the pages of Swagger and ReDoc load scripts of other hosts
        redoc_url=None,
        responses=documented(422, 500, 503),
    )
    app.state.service, app.state.figures = service, RequestFigures()
    app.state.max_body_bytes = service.project.serving.max_body_bytes
    app.add_middleware(MeasuredRequests, figures=app.state.figures)
    app.state.closings, app.state.readiness = Closings(service.project), RecentReadiness(service.engine)
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
