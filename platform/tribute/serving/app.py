"""The Ray Serve application: ingress, attributor, reporter. Every Serve call of tribute is in this file."""

import os
import re
import time
from importlib import import_module
from pathlib import Path
from typing import Any

# On a busy machine a proxy takes longer to start than Serve's default of five seconds.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "30")

from fastapi import FastAPI, HTTPException
from ray import serve
from ray.exceptions import RayTaskError
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from tribute.cluster import ray_session
from tribute.config import Project, load_project
from tribute.errors import AGAIN, MachineError, TributeError
from tribute.serving.requests import WrittenRoute
from tribute.serving.schemas import AttributionAnswer, AttributionRequest, ReportRequest
from tribute_storage import LakeError

_RAISED = re.compile(r"^(tribute(?:_storage)?\.errors)\.(\w+): ", re.MULTILINE)
"""An exception of ours in the text of a traceback."""

api = FastAPI(
    title="tribute",
    summary="Which sources shaped an answer, and what each publisher's were worth in a month",
)
api.router.route_class = WrittenRoute


# Serve pickles deployments when they are decorated, with the names that they use, and keeps the pickles to the end
# of the process. So deployments import heavy modules only where they run.
async def _answered(call: Any) -> Any:
    """A deployment's answer. Errors about bad input become HTTP 422, with a message that names the remedy."""
    try:
        return await call
    except RayTaskError as error:
        if isinstance(error.cause, TributeError | LakeError):
            raise HTTPException(422, str(error.cause)) from None
        raise


@serve.deployment(max_ongoing_requests=4, max_queued_requests=64)
class AttributionService:
    """One replica of the attributor. It alone records usage, so a query id is recorded once."""

    def __init__(self, project: Project) -> None:
        from tribute.serving.attributor import Attributor  # noqa: PLC0415  (see above)

        self._attributor = Attributor(project)

    def attribute(self, request: AttributionRequest) -> AttributionAnswer:
        """See `Attributor.attribute`."""
        return self._attributor.attribute(request.queries)


@serve.deployment(max_ongoing_requests=1, max_queued_requests=8, ray_actor_options={"num_cpus": 0})
class ReportService:
    """One replica of the reporter."""

    def __init__(self, project: Project) -> None:
        from tribute.serving.reporter import PeriodReporter  # noqa: PLC0415  (see above)

        self._reporter = PeriodReporter(project)

    def report(self, period: str) -> dict[str, Any]:
        """See `PeriodReporter.report`."""
        return self._reporter.report(period)


@serve.deployment(max_ongoing_requests=64, max_queued_requests=256, ray_actor_options={"num_cpus": 0})
@serve.ingress(api)
class Ingress:
    """The HTTP interface of the two services."""

    def __init__(self, attributor: DeploymentHandle, reporter: DeploymentHandle) -> None:
        self._attributor, self._reporter = attributor, reporter

    @api.get("/v1/health")
    async def health(self) -> dict[str, str]:
        """The service answers."""
        return {"status": "ok"}

    @api.post("/v1/attributions")
    async def attributions(self, request: AttributionRequest) -> AttributionAnswer:
        """Attribute queries to the sources and record them as usage of their months."""
        answer: AttributionAnswer = await _answered(self._attributor.attribute.remote(request))
        return answer

    @api.post("/v1/reports")
    async def reports(self, request: ReportRequest) -> dict[str, Any]:
        """Value a month: publishers, their sources, intervals and shares."""
        answer: dict[str, Any] = await _answered(self._reporter.report.remote(request.period))
        return answer


def build(arguments: dict[str, str]) -> Application:
    """The application for `serve run` and `serve deploy`; arguments: {"project": "path/to/project.yaml"}."""
    return application(load_project(Path(arguments["project"])))


def application(project: Project) -> Application:
    """The application of a project."""
    ingress: Any = Ingress
    attribution: Any = AttributionService
    report: Any = ReportService
    bound: Application = ingress.bind(attribution.bind(project), report.bind(project))
    return bound


def start(project: Project) -> str:
    """Start the application in the running Ray session; its URL."""
    settings = project.serving
    options = {"host": settings.host, "port": settings.port, "request_timeout_s": settings.request_timeout_s}
    serve.start(http_options=options)
    try:
        serve.run(application(project), name=project.name)
    except RuntimeError as error:
        raise _refusal(project.name, error) from error
    return f"http://{settings.host}:{settings.port}"


def _refusal(name: str, error: RuntimeError) -> TributeError | LakeError:
    """Why an application did not start. Serve has only the text of what a replica raised: its last lines."""
    applications = serve.status().applications
    deployments = applications[name].deployments.values() if name in applications else ()
    said = "\n".join(each.message for each in deployments if each.status != "HEALTHY").strip() or str(error)
    for found in reversed([*_RAISED.finditer(said)]):
        kind = getattr(import_module(found[1]), found[2], None)
        if isinstance(kind, type) and issubclass(kind, TributeError | LakeError):
            return kind(f"The service did not start: {said[found.end() :]}")
    last = said.rpartition("\n")[2].strip().rstrip(".")
    return MachineError(f"The service did not start: {last}. Look at the log of Ray Serve, {AGAIN}")


def serve_forever(project: Project) -> None:
    """Serve until interrupted.

    Raises:
        TributeError: the project cannot be served as it stands, or Ray does not start.
        LakeError: its lake cannot be read.
    """
    with ray_session(project.cluster):
        try:
            url = start(project)
            print(f"Serving {project.name} at {url}: try {url}/docs. Stop with Ctrl-C.", flush=True)
            while True:
                time.sleep(3600)
        finally:
            serve.shutdown()
