"""Throughput and latency of a served project beside the bare application's, in the same minutes."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from tests.benchmarks.serving.bare import ForwardPass, rows_of
from tests.benchmarks.serving.load import Answered, Offer, offered
from tests.benchmarks.serving.projects import QUICK, REPLICATES, texts
from tests.benchmarks.serving.session import FULL, Both, bodies, both
from tribute.catalog import corpus_tokens, lineage, simulated_responses
from tribute.config import Project

CLIENTS, QUERIES = ((1, 16) if QUICK else (1, 16, 64)), (1, 16)
WARM_UP_S, SECONDS = (0.5, 2.0) if QUICK else (1.5, 20.0 if FULL else 5.0)
ROUNDS, LONG_S = (1 if QUICK else 3), 60.0
"""Turns of each application; no further one after so long."""
TEXTS = 256 if QUICK else 1024


@dataclass
class Turns:
    """What one of the two applications answered, turn by turn; and the service's work that was left each time."""

    answered: list[Answered] = field(default_factory=list)
    unread: list[float] = field(default_factory=list)
    rest_s: list[float] = field(default_factory=list)

    @property
    def requests_per_second(self) -> float:
        """Median of the turns."""
        return statistics.median(each.requests_per_second for each in self.answered)

    def percentile(self, part: float) -> float:
        """Of the latencies of all turns, ms."""
        return float(np.percentile([ms for each in self.answered for ms in each.latency_ms], part))


def measured_rows(
    sources: int, distilled: bool, max_replicas: int = 1
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of service.json, one by one, each with what explains it."""
    with both(sources, distilled, max_replicas) as served:
        asked = texts(TEXTS)
        served.begin_month()
        units = len(simulated_responses(served.project, lineage(served.project).simulate_run))
        sources = len(corpus_tokens(served.project)[0])
        for clients, queries in product(CLIENTS, QUERIES):
            sent = bodies(asked, queries)
            ours, bare, passes, began = Turns(), Turns(), [], time.monotonic()
            for turn in range(ROUNDS):
                if turn and time.monotonic() - began > LONG_S:
                    break
                for is_bare in (False, True) if turn % 2 else (True, False):
                    _turn(served, sent, clients, bare if is_bare else ours, is_bare)
                passes.append(passes_per_second(served.project, asked))
            row = _row(clients, queries, sources, distilled, ours, bare)
            if not distilled:
                allowed = statistics.median(passes) / (units * REPLICATES + REPLICATES)
                row |= {"allowed_queries_per_second": allowed}
                row |= {"ratio_to_allowed": row["queries_per_second"] / allowed}
            yield row, _explained(row, units, passes, ours, bare)


def _turn(served: Both, sent: list[str], clients: int, turns: Turns, is_bare: bool) -> None:
    offer = Offer(served.bare if is_bare else served.attributions, sent, clients, WARM_UP_S, SECONDS)
    turns.answered.append(offered(offer))
    turns.unread.append(served.outbox()["unread"])
    turns.rest_s.append(served.rest())


def _row(clients: int, queries: int, sources: int, distilled: bool, ours: Turns, bare: Turns) -> dict[str, Any]:
    row: dict[str, Any] = {
        "clients": clients,
        "queries_per_request": queries,
        "sources": sources,
        "readout": "distilled" if distilled else "exact",
        "queries_per_second": queries * ours.requests_per_second,
        "bare_queries_per_second": queries * bare.requests_per_second,
        "requests_per_second": ours.requests_per_second,
        "bare_requests_per_second": bare.requests_per_second,
    }
    for name, turns in (("", ours), ("bare_", bare)):
        row |= {f"{name}p{part}_ms": turns.percentile(part) for part in (50, 99)}
    return row | {"ratio": ours.requests_per_second / bare.requests_per_second}


def _explained(row: dict[str, Any], units: int, passes: list[float], ours: Turns, bare: Turns) -> dict[str, Any]:
    """What a row rests on. `unread`: uses drawn in a turn that were still to be read out exactly at its end."""
    named = {name: row[name] for name in ("clients", "queries_per_request", "sources", "readout")}
    both_sides = list(zip(ours.answered, bare.answered, strict=True))
    return named | {
        "units": units,
        "replicates": REPLICATES,
        "forward_queries_per_second": passes,
        "ratios": [one.requests_per_second / other.requests_per_second for one, other in both_sides],
        "unread": ours.unread,
        "rest_s": ours.rest_s,
        "spans_s": [(one.span_s, other.span_s) for one, other in both_sides],
    }


def passes_per_second(project: Project, asked: list[str], seconds: float = 1.0) -> float:
    """Queries a second that plain forward passes of the same rows allow, in this process."""
    forward, window = ForwardPass(project), project.corpus.window
    tokens = rows_of(asked, window)["tokens"]
    size = max(1, project.serving.batch_tokens // window)
    batches = [{"tokens": tokens[start : start + size]} for start in range(0, len(tokens), size)]
    forward.measure(batches[0])
    began, done, number = time.perf_counter(), 0, 0
    while (taken := time.perf_counter() - began) < seconds:
        forward.measure(batches[number % len(batches)])
        done, number = done + len(batches[number % len(batches)]["tokens"]), number + 1
    return done / taken * len(asked) / len(tokens)
