"""The Ray cluster of a project: whether anybody listens at its address."""

import socket
from collections.abc import Iterator

from tribute_jobs.doctor.fault import Fault
from tribute_jobs.doctor.subject import ExaminedProject

ANSWER_S = 3.0
"""How long to wait for an answer."""


def examine_cluster(examined: ExaminedProject) -> Iterator[Fault]:
    """An address `host:port` of `cluster.address` that nobody listens at."""
    address = examined.project.cluster.address
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # `local` and `auto`
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        what = getattr(error, "strerror", None) or error
        yield Fault(
            f"nobody answers at cluster.address {address!r}: {what}",
            "Start the Ray cluster there, or set `address: local`",
        )
