"""Addresses of a service: pages write them from `/`. Where it is mounted below another, a prefix comes before."""

import re

from fastapi import Request
from fastapi.responses import RedirectResponse

_OWN = re.compile(r'(?<= )(href|src|action)="/')
"""An address of the service in a page. In text from outside, quotes are escaped."""


def base_of(request: Request) -> str:
    """The prefix of the service, such as `/models/press`; empty where it has the whole host."""
    base: str = request.scope.get("root_path", "")
    return base.rstrip("/")


def own_path(request: Request) -> str:
    """The path of a request, without the prefix of the service."""
    return request.url.path.removeprefix(base_of(request)) or "/"


def own_address(request: Request) -> str:
    """Path and query of a request, without the prefix of the service."""
    return f"{own_path(request)}?{request.url.query}".rstrip("?")


def redirect(request: Request, address: str) -> RedirectResponse:
    """To another page of the service; `address` begins with `/`."""
    return RedirectResponse(base_of(request) + address, 303)


def local(address: str) -> str:
    """An address of this service that somebody sent; anything else becomes the first page."""
    inside = address.startswith("/") and not address.startswith("//") and address.isprintable()
    return address if inside and "\\" not in address else "/"


def based(html: str, base: str) -> str:
    """A page whose addresses all have the prefix."""
    return _OWN.sub(rf'\1="{base}/', html) if base else html
