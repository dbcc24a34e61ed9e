"""Attributions and reports over HTTP, on Ray Serve."""

from tribute.serving.app import build, serve_forever, start
from tribute.serving.attributor import Attributor
from tribute.serving.reporter import PeriodReporter

__all__ = ["Attributor", "PeriodReporter", "build", "serve_forever", "start"]
