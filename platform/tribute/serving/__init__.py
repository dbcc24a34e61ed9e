"""Live attributions and reports: attributors, outboxes on the way to the lake, and all of it on Ray Serve."""

from typing import TYPE_CHECKING

from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute.serving.attributing.attributor import Attributor
    from tribute.serving.deployments import application
    from tribute.serving.engine import Idempotency, ServiceEngine
    from tribute.serving.local import local_engine
    from tribute.serving.reports import PeriodReporter, Report
    from tribute.serving.running import serve_forever, start
    from tribute.serving.writing.writer import Writer

__all__ = [
    "Attributor",
    "Idempotency",
    "PeriodReporter",
    "Report",
    "ServiceEngine",
    "Writer",
    "application",
    "local_engine",
    "serve_forever",
    "start",
]

__getattr__ = first_use(
    __name__,
    {
        "attributing.attributor": ["Attributor"],
        "deployments": ["application"],
        "engine": ["Idempotency", "ServiceEngine"],
        "local": ["local_engine"],
        "reports": ["Report", "PeriodReporter"],
        "running": ["serve_forever", "start"],
        "writing.writer": ["Writer"],
    },
)
