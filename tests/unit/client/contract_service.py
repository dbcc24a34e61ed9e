"""A service that keeps the contract of the API, on a real socket, with faults that tests order.

Requests and answers are checked by the models of the real service, so that it takes and gives nothing else.
"""

import hashlib
import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from tests.unit.client.faulty_wire import FaultyWire
from tribute.serving.schemas import AttributionRequest, QueryAttribution, ServedModel

KEY = "trb_abcd1234_secret"
SOURCES = ("aurora", "borealis", "corona")


@dataclass
class ContractService:
    """Records uses once by id, answers an idempotency key once, and refuses as the real one does."""

    max_queries: int = 256
    max_body: int = 1 << 24
    faults: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    refused: set[str] = field(default_factory=set)
    predicted: set[str] = field(default_factory=set)
    uses: dict[str, str] = field(default_factory=dict)
    answers: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)
    polls: int = 0
    model: str = "m1"

    def attribute(self, request: Request, body: bytes) -> Response:
        """POST /v1/attributions."""
        key, asked = request.headers["idempotency-key"], json.loads(body)
        ids = [use["query_id"] for use in asked["queries"]]
        self.seen.append({"key": key, "ids": ids, **asked})
        if len(body) > self.max_body:
            return problem(413, "Too large", f"The body is longer than {self.max_body} bytes")
        if len(ids) > self.max_queries:
            return problem(422, "Too many", f"{len(ids)} queries, expected at most {self.max_queries}")
        try:
            AttributionRequest.model_validate_json(body)
        except ValidationError as error:
            return problem(422, "Bad request", str(error.errors()[0]))
        told = [query_id for query_id in ids if query_id in self.refused]
        if told:
            return problem(422, "Bad query", f"query {told[0]}: text is too short. Send at least 2 characters")
        digest = hashlib.sha256(body).hexdigest()
        if key in self.answers:
            before, answer = self.answers[key]
            return JSONResponse(answer) if before == digest else problem(409, "Conflict", f"key {key} was used")
        written = {use["query_id"]: json.dumps(use, sort_keys=True) for use in asked["queries"]}
        if any(self.uses.get(query_id, text) != text for query_id, text in written.items()):
            return problem(409, "Conflict", "A query id was used before with other content")
        new = [query_id for query_id in ids if asked["record"] and query_id not in self.uses]
        self.uses.update({query_id: written[query_id] for query_id in new})
        items = [self.item(query_id, asked) for query_id in ids]
        answer = {"model": self.model, "simulate_run": "s1", "recorded": len(new), "queries": items}
        self.answers[key] = (digest, answer)
        return JSONResponse(answer)

    def item(self, query_id: str, asked: dict[str, Any]) -> dict[str, Any]:
        """One item of "queries"."""
        top_k = len(SOURCES) if asked["top_k"] is None else asked["top_k"]
        name = f"{asked['level']}_id"
        rows = [{name: each, "influence_nats": 3.0 - i, "std_error_nats": 0.1} for i, each in enumerate(SOURCES)]
        others = {"count": len(rows[top_k:]), "influence_nats": sum(row["influence_nats"] for row in rows[top_k:])}
        return {
            "query_id": query_id,
            "period": "2026-10",
            "readout": "exact",
            "readout_probability": 1.0,
            "measurement_nats": -2.5,
            "similarity": 0.9,
            "unlike_corpus": False,
            "sources": rows[:top_k],
            "others": others,
            "a_field_of_a_later_version": 1,
        }

    def recorded(self, query_id: str) -> dict[str, Any]:
        """GET /v1/attributions/{query_id}. Of a use that was predicted and not drawn, the lake keeps sums only."""
        found = self.item(query_id, {"top_k": None, "level": "source"})
        if query_id in self.predicted:
            found |= {"readout": "distilled", "readout_probability": 0.25, "sources": [], "note": "Predicted"}
            found["others"] = {"count": len(SOURCES), "influence_nats": None}
        QueryAttribution.model_validate(found)
        return found

    def report(self, report_id: str) -> dict[str, Any]:
        """GET /v1/reports/{id}: done at the third look; a month that begins with 1999 fails."""
        self.polls += 1
        state: dict[str, Any] = {"report_id": report_id, "period": report_id}
        if self.polls < 3:
            return state | {"state": "running"}
        if report_id.startswith("1999"):
            return state | {"state": "failed", "problem": "No use in 1999-01. Ingest some"}
        figures = ("attribution_nats", "value_nats", "ci_low_nats", "ci_high_nats", "token_share")
        value = dict.fromkeys(figures, 1.0)
        line = {"source_id": "aurora-1", "split": None, "share": "1/1", **value}
        publisher = {"publisher_id": "aurora", "share": "1/1", "share_low": 0.5, "share_high": 1.0, **value}
        publisher["sources"] = [line]
        report = {
            "run_id": "v1",
            "period": report_id,
            "simulate_run": "s1",
            "queries": 3,
            "publishers": [publisher],
        }
        return state | {"state": "done", "report": report}

    def app(self) -> FastAPI:
        """Its routes; an ordered fault comes before any of them."""
        api = FastAPI()

        @api.middleware("http")
        async def guard(request: Request, call_next: Any) -> Response:
            if self.faults:
                status, headers = self.faults.popleft()
                return problem(status, "Fault", "Ordered by the test", headers)
            if request.url.path != "/readyz" and request.headers.get("authorization") != f"Bearer {KEY}":
                return problem(401, "Unauthorized", "The key is unknown. Make one with tribute keys create")
            answer: Response = await call_next(request)
            return answer

        @api.get("/readyz")
        async def ready() -> dict[str, str]:
            return {"status": "ready"}

        @api.get("/v1/models")
        async def models() -> list[dict[str, Any]]:
            sizes = {"sources": 3, "replicates": 2, "max_queries": self.max_queries, "max_text_bytes": 1000}
            model = {"model": self.model, "simulate_run": "s1", "readout": "exact", "takes": "text", **sizes}
            return [ServedModel.model_validate(model | {"path": "/models/m1"}).model_dump()]

        @api.post("/v1/attributions")
        async def attributions(request: Request) -> Response:
            return self.attribute(request, await request.body())

        @api.get("/v1/attributions/{query_id:path}")
        async def attribution(query_id: str) -> Response:
            if query_id not in self.uses:
                return problem(404, "Unknown", f"No use has the id {query_id}")
            return JSONResponse(self.recorded(query_id))

        @api.post("/v1/reports")
        async def reports(body: dict[str, str]) -> Response:
            period = body["period"]
            state = {"report_id": period, "period": period, "state": "queued"}
            return JSONResponse(state, 202, {"Location": f"/v1/reports/{period}"})

        @api.get("/v1/reports/{report_id}")
        async def report(report_id: str) -> dict[str, Any]:
            return self.report(report_id)

        return api


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer as RFC 9457 has it."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


@contextmanager
def listening(app: Any, lifespan: str = "off") -> Iterator[int]:
    """An application on a socket of this machine; its port."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan=lifespan))
        thread = threading.Thread(target=server.run, args=([own],), daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.01)
        try:
            yield own.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def service_and_wire() -> Iterator[tuple[ContractService, FaultyWire]]:
    """A service, and a wire to it that can break."""
    service = ContractService()
    with listening(service.app()) as port, FaultyWire(port) as wire:
        yield service, wire
