"""The Ray Serve application of a service: one process and a reporter, or a deployment for each part.

What dies is started again.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

# On a busy machine a proxy takes longer to start than Serve's default of five seconds.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "30")
# A proxy that died is started again after three checks, which are ten seconds apart by default.
os.environ.setdefault("RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S", "2")
# The proxy calls the web application by gRPC, which costs half as much as Ray's object store.
os.environ.setdefault("RAY_SERVE_PROXY_USE_GRPC", "1")
# The web server would believe what a caller says about its address.
os.environ["FORWARDED_ALLOW_IPS"] = ""

from ray import serve
from ray.serve import Application

from tribute.config import Project, ServingSettings
from tribute.errors import ConfigError
from tribute.serving.handles import GROUPS
from tribute.serving.models import ModelsReplica
from tribute.serving.replicas import (
    WHOLE,
    AttributorReplica,
    ReporterReplica,
    Web,
    WebReplica,
    WholeReplica,
    WriterReplica,
)

HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 2.0, 30.0
"""How often a replica is asked whether it lives: one that died is started again after that time."""
DRAIN_S = 30.0
"""How long a replica may take to answer what it has begun, when it is told to end."""
LARGE_MESSAGES = {"runtime_env": {"env_vars": {"RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1)}}}
"""Requests and uses of many megabytes pass between replicas: gRPC's own limit is 4 MiB."""
ON_HEAD = LARGE_MESSAGES | {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}
"""Where what keeps files runs: on the head node, which has the working folder on a disk of its own."""
ALIVE = {
    "health_check_period_s": HEALTH_PERIOD_S,
    "health_check_timeout_s": HEALTH_TIMEOUT_S,
    "graceful_shutdown_timeout_s": DRAIN_S,
}


def application(projects: Sequence[Project], web: Web) -> Application:
    """The application of one or more projects. Settings of the service are those of the first one.

    With one replica, one writer and no GPU, the service is one process, and a second one values periods: the way
    from process to process takes longer than a small model. Otherwise each part has processes of its own.

    Args:
        web: makes the web application from an engine for each project; a function of a module.

    Raises:
        ConfigError: two projects have one name.
    """
    named = {project.name: project for project in projects}
    if len(named) < len(projects):
        raise ConfigError(
            f"Two of the projects have one name: {', '.join(each.name for each in projects)}. Give each its own"
        )
    settings = projects[0].serving
    together = max(settings.replicas, settings.max_replicas or 1, settings.writers) == 1 and not _gpus()
    return _whole(named, web, settings) if together else _in_parts(named, web, settings)


def _whole(projects: Mapping[str, Project], web: Web, settings: ServingSettings) -> Application:
    reporter = _deployment(ReporterReplica, "Reporter", ray_actor_options=ON_HEAD).bind(projects, None)
    bound: Application = _deployment(
        serve.ingress()(_holding(WholeReplica, settings)),
        WHOLE,
        **_bounded(settings),
        ray_actor_options=ON_HEAD,
    ).bind(projects, web, reporter)
    return bound


def _in_parts(projects: Mapping[str, Project], web: Web, settings: ServingSettings) -> Application:
    writers = [
        _deployment(WriterReplica, f"Writer{shard}", max_ongoing_requests=1024, ray_actor_options=ON_HEAD).bind(
            projects, shard
        )
        for shard in range(settings.writers)
    ]
    reporter = _deployment(ReporterReplica, "Reporter", ray_actor_options=ON_HEAD).bind(projects, writers)
    attributor = _deployment(
        _holding(AttributorReplica, settings),
        "Attributor",
        max_ongoing_requests=settings.max_waiting,
        max_queued_requests=max(8, settings.max_waiting // 4),
        ray_actor_options=LARGE_MESSAGES | {"num_gpus": 1 if _gpus() else 0},
        **_scaling(settings),
    ).bind(projects, writers)
    bound: Application = _deployment(
        serve.ingress()(WebReplica),
        "Web",
        **_bounded(settings),
        ray_actor_options=ON_HEAD,
    ).bind(projects, web, attributor, writers, reporter)
    return bound


def _deployment(kind: type, name: str, **options: Any) -> Any:
    made: Any = serve.deployment(kind)
    return made.options(name=name, **(ALIVE | options))


def _holding(kind: type[ModelsReplica], settings: ServingSettings) -> type:
    """The same class, of which each replica keeps so many models."""
    held = serve.multiplexed(max_num_models_per_replica=settings.models_per_replica)(kind.model)
    return type(kind.__name__, (kind,), {"model": held})


def _bounded(settings: ServingSettings) -> dict[str, Any]:
    """Requests of all kinds in a web application, and on their way to it. It refuses attributions earlier."""
    return {"max_ongoing_requests": 8 * settings.max_waiting, "max_queued_requests": 8 * settings.max_waiting}


def _scaling(settings: ServingSettings) -> dict[str, Any]:
    """How many replicas hold the models. The load is the messages on their way to them."""
    most = settings.max_replicas or settings.replicas
    if most == settings.replicas:
        return {"num_replicas": most}
    return {
        "autoscaling_config": {
            "min_replicas": settings.replicas,
            "max_replicas": most,
            "target_ongoing_requests": GROUPS / 2,
        }
    }


def _gpus() -> bool:
    import ray  # noqa: PLC0415  (replicas pickle this module)

    return bool(ray.is_initialized() and ray.cluster_resources().get("GPU"))
