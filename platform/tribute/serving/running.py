"""Starts and ends the service: in the Ray session of this process, or until it is interrupted."""

import logging
import re
import time
from collections.abc import Sequence
from importlib import import_module

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from tribute.cluster import ray_session
from tribute.config import Project
from tribute.errors import AGAIN, MachineError, TributeError
from tribute.serving.deployments import DRAIN_S, application
from tribute.serving.replicas import Web
from tribute_storage import LakeError

PATIENCE_S = 8.0
"""How long requests may take that were begun before the end: a command that takes longer to end is cut off."""
_log = logging.getLogger(__name__)
_RAISED = re.compile(r"^(tribute(?:_storage)?\.errors)\.(\w+): ", re.MULTILINE)
"""An exception of ours in the text of a traceback."""


def start(projects: Sequence[Project], web: Web) -> str:
    """Start the application in the running Ray session; its URL. The settings of the first project count.

    Raises:
        TributeError: the project cannot be served as it stands.
        LakeError: its lake cannot be read.
    """
    first, settings = projects[0], projects[0].serving
    options = {
        "host": settings.host,
        "port": settings.port,
        "request_timeout_s": settings.request_timeout_s + DRAIN_S,  # the application itself answers 504 before
    }
    serve.start(http_options=options, logging_config={"enable_access_log": False})
    try:
        serve.run(application(projects, web), name=first.name)
    except RuntimeError as error:
        raise _refusal(first.name, error) from error
    return f"http://{settings.host}:{settings.port}"


def serve_forever(projects: Sequence[Project], web: Web) -> None:
    """Serve until interrupted; then answer what was begun, and bring all uses to the lake.

    Raises:
        TributeError: the project cannot be served as it stands, or Ray does not start.
        LakeError: its lake cannot be read.
    """
    with ray_session(projects[0].cluster):
        try:
            names = ", ".join(project.name for project in projects)
            url = start(projects, web)
            print(f"Serving {names} at {url}: open it in a browser. Stop with Ctrl-C.", flush=True)
            while True:
                time.sleep(3600)
        finally:
            drain(projects[0].name)
            serve.shutdown()


def drain(name: str, patience_s: float = PATIENCE_S) -> None:
    """Let an application answer what it has begun. Serve itself would cut the connections."""
    try:
        serve.get_app_handle(name).drain.remote().result(timeout_s=patience_s)
    except (RayServeException, RayError, TimeoutError) as error:
        _log.warning("Requests are cut off: %s", error)


def _refusal(name: str, error: RuntimeError) -> TributeError | LakeError:
    """Why an application did not start. Serve has only the text of what a replica raised: its last lines."""
    applications = serve.status().applications
    deployments = applications[name].deployments.values() if name in applications else ()
    messages = "\n".join(each.message for each in deployments if each.status != "HEALTHY").strip() or str(error)
    for found in reversed([*_RAISED.finditer(messages)]):
        kind = getattr(import_module(found[1]), found[2], None)
        if isinstance(kind, type) and issubclass(kind, TributeError | LakeError):
            return kind(f"The service did not start: {messages[found.end() :]}")
    last = messages.rpartition("\n")[2].strip().rstrip(".")
    return MachineError(f"The service did not start: {last}. Look at the log of Ray Serve, {AGAIN}")
