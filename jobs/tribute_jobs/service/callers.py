"""Dependencies of routes: the service, who may ask, and parameters that many routes take."""

from typing import Annotated

from fastapi import Depends, Header, Query

from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.guard import require
from tribute_jobs.service.context import Service, service_of
from tribute_jobs.service.problems import documented

Served = Annotated[Service, Depends(service_of)]
AnyCaller = Annotated[Caller, Depends(require(*Role))]
Operator = Annotated[Caller, Depends(require(Role.OPERATOR))]
Reader = Annotated[Caller, Depends(require(Role.OPERATOR, Role.PUBLISHER))]
"""The operator, who sees all rows, or a publisher, who sees its own: `Caller.publisher_id` says whose."""
Asker = Annotated[Caller, Depends(require(Role.OPERATOR, Role.INGEST))]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="sent again with the same key, a request gets the same answer, and counts once; a key stands "
        "for one request",
    ),
]
Month = Annotated[str, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="a month, YYYY-MM")]
READING = documented(401, 403, 404, 422, 429, 503)
"""Problems of a route that reads rows."""
