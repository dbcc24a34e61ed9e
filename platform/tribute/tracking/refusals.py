"""Why MLflow did not take a record, and what to do: found out in seconds, and said in one line."""

import socket
from urllib.parse import urlsplit

CONNECT_S = 10.0
"""How long a tracking server may take to accept a connection."""
REMEDIES = {
    "must be in the 'active' state": "Restore the experiment (tribute doctor PROJECT.yaml --repair)",
    "database is locked": "End the program that holds the database",
    "readonly database": "Let this user write that file and its folder",
    "unable to open database file": "Let this user write that file and its folder",
    "disk is full": "Make room on its disk",
}
"""What MLflow and SQLite say, and what to do."""


def refusal(error: Exception, uri: str) -> str:
    """What MLflow said, in one line, and the remedy."""
    said = str(error).strip().partition("\n")[0][:300].rstrip(". ") or type(error).__name__
    served = urlsplit(uri).scheme in ("http", "https")
    other = "Start the server, or correct tracking.uri" if served else "Let this user write its files"
    remedy = next((remedy for words, remedy in REMEDIES.items() if words in said), other)
    return f"{said}. {remedy}"


def require_answer(uri: str) -> None:
    """Find out soon whether a server is there: MLflow would ask again and again, for minutes.

    Raises:
        OSError: nobody accepts a connection.
    """
    server = urlsplit(uri)
    if server.scheme in ("http", "https") and server.hostname:
        port = server.port or (443 if server.scheme == "https" else 80)
        socket.create_connection((server.hostname, port), timeout=CONNECT_S).close()
