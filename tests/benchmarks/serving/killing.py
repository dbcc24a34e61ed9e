"""The part of the benchmark that kills processes, in a drawn order, under an exact read-out's load."""

import random
import statistics
from typing import Any

from ray import serve

from tests.benchmarks.results import FOLDER
from tests.benchmarks.serving.fleet import Fleet
from tests.benchmarks.serving.kills import VICTIMS, drained, judged, killed, sailing
from tests.benchmarks.serving.projects import QUICK, REPLICATES, fresh, simulated, texts
from tests.chaos.ray_cluster import free_port
from tribute.config import ServingSettings
from tribute.serving import start
from tribute_jobs.service.application import web_of

KILLS, SEED, CLIENTS = (4 if QUICK else 50), 22, 6
MONTH, SOURCES = "2026-10", 10


def kills() -> dict[str, Any]:
    """What `kills` of service.json holds, and every recovery."""
    rng = random.Random(SEED)
    victims = [
        name for each in range(-(-KILLS // len(VICTIMS))) for name in rng.sample(list(VICTIMS), len(VICTIMS))
    ]
    settings = ServingSettings(port=free_port(), flush_every_s=1.0)
    project = fresh(simulated(SOURCES), FOLDER / "kills", False, settings)
    log = project.workdir.parent / "acknowledged.jsonl"
    try:
        base = start([project], web_of)
        sent = texts(64, long=False)
        fleet, found = Fleet(f"{base}/v1/attributions", sent, CLIENTS, SEED, str(log), f"{MONTH}-15T12:00:00Z"), []
        with sailing(fleet):
            for kill in killed(fleet, project, victims[:KILLS], SEED):
                found.append(kill)
                print(f"{kill.victim}: back after {kill.recovery_s:.1f} s", flush=True)
        drained(base, MONTH)
    finally:
        serve.shutdown()
    verdict = judged(str(log), project, SOURCES * REPLICATES)
    by_victim = {name: [kill.recovery_s for kill in found if kill.victim == name] for name in VICTIMS}
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
