"""The web application of the bare model."""

from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Response
from pydantic import BaseModel

from tests.benchmarks.serving.bare import ROUTE, ForwardPass
from tribute.corpus import text_queries
from tribute.serving.attributing.batching import Piece, TokenBatcher


class Asked(BaseModel):
    """A query."""

    text: str


class AskedAll(BaseModel):
    """A request."""

    queries: list[Asked]


def bare_web(forward: ForwardPass, window: int, batch_tokens: int) -> FastAPI:
    """The application."""
    app, batcher = FastAPI(), TokenBatcher[Any, Any](forward.of_works, batch_tokens)

    @app.post(ROUTE)
    async def measure(asked: AskedAll) -> Response:
        texts = [query.text for query in asked.queries]
        table = text_queries([str(index) for index in range(len(texts))], texts, window)
        [measured_N] = await batcher.submit("everybody", [Piece(table.rows, table.rows["tokens"].size)])
        measured_Q = np.bincount(table.row_query, measured_N)
        return Response(orjson.dumps({"measurement_nats": measured_Q.tolist()}), media_type="application/json")

    return app
