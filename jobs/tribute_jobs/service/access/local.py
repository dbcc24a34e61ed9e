"""Whether a request without a key comes from this machine, and was meant for it."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Request

from tribute.errors import ConfigError
from tribute_jobs.service.access.keys import Keys
from tribute_jobs.service.problems import HttpProblem

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers of proxies. What they say is never believed; that they are there says that somebody else asks."""
CREATE = "Make a key: tribute keys create PROJECT.yaml --role operator --name NAME"


def require_safe_binding(host: str, keys: Keys) -> None:
    """Check that a service without keys is reachable from this machine only.

    Raises:
        ConfigError: other machines would reach it.
    """
    if not _is_loopback(host) and not keys.any_active():
        raise ConfigError(
            f"serving.host is {host}, where other machines reach the service, and it has no key. {CREATE}. Or set "
            "serving.host to 127.0.0.1"
        )


def require_local(request: Request, unsafe: bool) -> None:
    """Check that a caller without a key is on this machine.

    A web page of anybody can let the browser of this machine send requests to it. So the host that the request
    names has to be this machine, and a change has to come from a page of this service.

    Raises:
        HttpProblem: 401 from another machine or through a proxy, 403 for another host's page.
    """
    here = request.client is not None and _is_loopback(request.client.host)
    if not here or any(name in request.headers for name in FORWARDED):
        raise unknown_caller(
            f"No key was shown. Without keys, only this machine itself may ask, and no proxy. {CREATE}"
        )
    host = request.headers.get("host", "")
    if not _is_loopback(urlsplit(f"//{host}").hostname or ""):
        raise HttpProblem(
            403,
            "Wrong host",
            f"The request is for host {host[:80]!r}. Without keys, ask for localhost. {CREATE}",
        )
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    if unsafe and (
        site not in ("none", "same-origin") or (origin is not None and urlsplit(origin).netloc != host)
    ):
        raise HttpProblem(
            403, "Another page", "A page of another site sent this change. Send it from a page of this service"
        )


def unknown_caller(detail: str) -> HttpProblem:
    """401."""
    return HttpProblem(401, "Key needed", detail, {"WWW-Authenticate": "Bearer"})


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address, or sends from it."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
