"""A served project beside the bare application, in one Ray session, and what both are asked."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import httpx
from ray import serve

from tests.benchmarks.results import FOLDER
from tests.benchmarks.serving.bare import PREFIX, ROUTE, bare_application
from tests.benchmarks.serving.projects import fresh, simulated, texts
from tests.chaos.ray_cluster import free_port
from tribute.config import Project, ServingSettings
from tribute.readout.distilled import PILOT_QUERIES
from tribute.serving import start
from tribute_jobs.service.application import web_of

FULL = bool(os.environ.get("FULL"))
FLUSH_EVERY_S = 5.0
"""So short that every window of time holds a batch on its way to the lake."""
MONTH_SO_FAR = 100_000
"""Uses of the month before the first request, told by one use of that weight: at a month's beginning every query
is read out exactly, since too little is known."""


class Both(NamedTuple):
    """Where the two applications are asked."""

    project: Project
    base: str

    @property
    def attributions(self) -> str:
        """Of tribute."""
        return f"{self.base}/v1/attributions"

    @property
    def bare(self) -> str:
        """Of the bare model."""
        return f"{self.base}{PREFIX}{ROUTE}"

    def outbox(self) -> dict[str, float]:
        """Figures of the outbox."""
        lines = httpx.get(f"{self.base}/metrics", timeout=None).text.splitlines()
        shown = [line.partition('{shard="0"} ') for line in lines if line.startswith("tribute_outbox_")]
        return {name.removeprefix("tribute_outbox_"): float(value) for name, _, value in shown}

    def rest(self) -> float:
        """Wait until the service has nothing left to do; seconds."""
        began = time.monotonic()
        while self.outbox()["waiting"]:
            time.sleep(0.1)
        return time.monotonic() - began

    def begin_month(self) -> None:
        """Let a month be under way, and a head have learnt from its first uses, where there is one."""
        first = texts(PILOT_QUERIES)
        for text in first:
            httpx.post(self.attributions, json={"queries": [{"text": text}]}, timeout=None).raise_for_status()
        asked = {"queries": [{"text": first[0], "weight": MONTH_SO_FAR}]}
        httpx.post(self.attributions, json=asked, timeout=None).raise_for_status()
        self.rest()
        [model] = httpx.get(f"{self.base}/v1/models", timeout=None).json()
        look = {"queries": [{"text": first[0]}], "record": False}
        while self._readout(look) != model["readout"]:
            time.sleep(0.2)

    def _readout(self, look: dict[str, object]) -> str:
        answer = httpx.post(self.attributions, json=look, timeout=None).raise_for_status()
        return str(answer.json()["queries"][0]["readout"])


@contextmanager
def both(sources: int, distilled: bool, max_replicas: int = 1) -> Iterator[Both]:
    """Serve a project of so many sources, and its bare model, in the running Ray session."""
    settings = ServingSettings(
        port=free_port(), flush_every_s=FLUSH_EVERY_S, request_timeout_s=300.0, max_replicas=max_replicas
    )
    project = fresh(simulated(sources), FOLDER / "service", distilled, settings)
    try:
        base = start([project], web_of)
        serve.run(bare_application(project), name="bare", route_prefix=PREFIX)
        yield Both(project, base)
    finally:
        serve.shutdown()


def bodies(texts: Sequence[str], queries: int) -> list[str]:
    """Requests of so many queries."""
    groups = [texts[start : start + queries] for start in range(0, len(texts) - queries + 1, queries)]
    return [json.dumps({"queries": [{"text": text} for text in group]}) for group in groups]
