"""Attributions of live queries, and of recorded ones."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from tribute.ids import LONGEST_ID, excerpt
from tribute.serving import Idempotency
from tribute.serving.schemas import AttributionAnswer, AttributionRequest, QueryAttribution
from tribute_jobs.service.access.caller import LOCAL
from tribute_jobs.service.access.routing import ServiceRoute
from tribute_jobs.service.callers import Asker, Key, Served
from tribute_jobs.service.problems import HttpProblem, documented

router = APIRouter(prefix="/v1/attributions", tags=["attributions"], route_class=ServiceRoute)


@router.post(
    "", response_model=AttributionAnswer, responses=documented(401, 403, 409, 413, 422, 429, 500, 503, 504)
)
async def attribute(
    request: Request,
    asked: AttributionRequest,
    caller: Asker,
    service: Served,
    key: Key = None,
) -> Response:
    """Attribute queries to the sources, and record them as uses of their months.

    The answer comes when the uses are on disk. A repeated `query_id` is recorded once. Without ids of your
    own, send an Idempotency-Key, so that a request that is sent again counts once. The answer under a key is kept
    for a day.
    """
    service.access.limits.take_queries(caller, len(asked.queries))
    idempotency = None
    if key is not None:
        body = await request.body()
        idempotency = Idempotency(f"{caller.key_id} {key}", hashlib.sha256(body).hexdigest())
    turn = None if caller is LOCAL else caller.key_id
    answer = await service.engine.attribute(asked, turn, idempotency)
    return Response(answer, media_type="application/json")


@router.get("/{query_id:path}", responses=documented(401, 403, 404, 422, 429, 500, 503, 504))
async def recorded(
    query_id: Annotated[str, Path(min_length=1, max_length=LONGEST_ID)],
    caller: Asker,
    service: Served,
) -> QueryAttribution:
    """A recorded query with the influences of all sources."""
    del caller
    found = await service.engine.find(query_id)
    if found is None:
        raise HttpProblem(
            404, "No such query", f"No query {excerpt(query_id)} was recorded here. Look at the id that you sent"
        )
    return QueryAttribution.model_validate(found)
