"""The part of the benchmark that kills processes, in a drawn order, under an exact read-out's load."""

import random
import statistics
from typing import Any

from ray import serve

from tests.benchmarks.results import FOLDER
from tests.benchmarks.serving.fleet import Fleet
from tests.benchmarks.serving.kills import IN_PARTS, WHOLE, drained, judged, killed, sailing
from tests.benchmarks.serving.projects import QUICK, REPLICATES, fresh, simulated, texts
from tests.chaos.ray_cluster import free_port
from tribute.config import ServingSettings
from tribute.serving import start
from tribute_jobs.service.application import web_of

KILLS, SEED, CLIENTS = ((4, 3) if QUICK else (50, 24)), 22, 6
"""Kills of a service in parts, and of a whole one."""
MONTH, SOURCES = "2026-10", 10


def kills() -> dict[str, Any]:
    """`kills` of service.json: of a service in parts; and `whole`, of one whose parts are one process."""
    in_parts, whole = KILLS
    return _kills(in_parts, IN_PARTS, 2) | {"whole": _kills(whole, WHOLE, 1)}


def _kills(count: int, victims: tuple[str, ...], max_replicas: int) -> dict[str, Any]:
    rng = random.Random(SEED)
    drawn = [name for _ in range(-(-count // len(victims))) for name in rng.sample(victims, len(victims))]
    settings = ServingSettings(port=free_port(), flush_every_s=1.0, max_replicas=max_replicas)
    project = fresh(simulated(SOURCES), FOLDER / "kills", False, settings)
    log = project.workdir.parent / "acknowledged.jsonl"
    try:
        base = start([project], web_of)
        sent = texts(64, long=False)
        fleet, found = Fleet(f"{base}/v1/attributions", sent, CLIENTS, SEED, str(log), f"{MONTH}-15T12:00:00Z"), []
        with sailing(fleet):
            for kill in killed(fleet, project, drawn[:count], SEED):
                found.append(kill)
                print(f"{kill.victim}: back after {kill.recovery_s:.1f} s", flush=True)
        drained(base, MONTH)
    finally:
        serve.shutdown()
    verdict = judged(str(log), project, SOURCES * REPLICATES)
    by_victim = {name: [kill.recovery_s for kill in found if kill.victim == name] for name in victims}
    return {
        "tried": len(found),
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "foreign": len(verdict.foreign),
        "acknowledged": verdict.acknowledged,
        "slowest_recovery_s": max(kill.recovery_s for kill in found),
        "median_recovery_s": {name: statistics.median(each) for name, each in by_victim.items() if each},
        "recoveries": found,
        "seed": SEED,
    }
