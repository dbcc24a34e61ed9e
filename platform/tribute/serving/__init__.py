"""Attributions and reports over HTTP, on Ray Serve."""

from tribute.serving.app import build, serve_forever, start
from tribute.serving.attributor import Attributor
from tribute.serving.reporter import Reporter

__all__ = ["Attributor", "Reporter", "build", "serve_forever", "start"]
