"""A TCP connection that breaks when a test says so, between a real client and a real server."""

import select
import socket
import struct
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

RESET = struct.pack("ii", 1, 0)
"""Linger for no time: closing sends RST."""


class FaultyWire:
    """Carries connections to a port. Each next request meets the next planned fault, if there is one.

    Faults: "reset" (before the server reads it), "lost" (the server answers, the client gets a reset instead),
    "slow" (nothing for `slow_s`, then the answer), "held" (nothing until `release`), "" (none).
    """

    def __init__(self, port: int, slow_s: float = 1.0) -> None:
        self.faults, self.slow_s, self._port = deque[str](), slow_s, port
        self.release = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            fault = ""
            while True:
                ready, _, _ = select.select([client, server], [], [])
                try:
                    if server in ready:
                        chunk = server.recv(1 << 16)
                        if fault == "lost":
                            break
                        time.sleep(self.slow_s if fault == "slow" else 0)
                        if fault == "held":
                            self.release.wait(60)
                        fault = ""
                        client.sendall(chunk)
                    else:
                        chunk = client.recv(1 << 16)
                        if chunk.startswith((b"GET ", b"POST ")) and self.faults:
                            fault = self.faults.popleft()
                        if fault == "reset":
                            break
                        server.sendall(chunk)
                except OSError:
                    return
                if not chunk:
                    return
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
