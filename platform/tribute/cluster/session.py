"""Ray's session: it starts within a time, leaves signals to their owner, and is seen when it dies."""

import ctypes
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import psutil
import ray
from ray import _raylet
from ray._private import utils as ray_utils
from ray._private import worker

from tribute.config import ClusterSettings
from tribute.errors import AGAIN, MachineError

ray_worker: Any = worker
SHUTDOWN_S = 15.0
"""How long a session may take to end before it is left to the end of the process."""


@contextmanager
def ray_session(settings: ClusterSettings) -> Iterator[None]:
    """A Ray cluster for the length of a block: a new local one, or the one at `cluster.address`.

    Joins a session that the process already has, and leaves that session running.

    Raises:
        MachineError: no cluster answers, or none starts, within `cluster.start_timeout_s`.
    """
    if ray.is_initialized():
        yield
        return
    over = threading.Event()
    try:
        _start(settings, over)
        yield
    finally:
        if ray.is_initialized():
            within(SHUTDOWN_S, _end)
        over.set()


def require_ray() -> None:
    """Check that the processes of Ray that serve this one are alive, as far as they are on this machine.

    A raylet ends by itself a minute after the head of its cluster is lost.

    Raises:
        MachineError: one of them has ended.
    """
    if dead := _dead():
        raise MachineError(
            f"Ray stopped working: its {' and '.join(dead)} ended. Look at the memory and the disk of this "
            f"machine, {AGAIN}"
        )


def ray_lives() -> bool:
    """Whether the processes of Ray that serve this one are alive, as far as they are on this machine."""
    return not _dead()


def within(seconds: float, call: Callable[[], Any], over: threading.Event | None = None) -> bool:
    """Run a call that may hang, in a thread of its own; whether it ended in time. Raises what it raised.

    Args:
        over: the thread lives until then: the processes that it started end with it.
    """
    raised, done = list[BaseException](), threading.Event()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)
        done.set()
        if over is not None:
            over.wait()

    threading.Thread(target=run, daemon=True, name="tribute-ray").start()
    ended = done.wait(seconds)
    if raised:
        raise raised[0]
    return ended


def _dead() -> list[str]:
    node = ray_worker._global_node
    if node is None:
        return []
    dead = {str(kind) for kind, _ in node.dead_processes()} & {"raylet", "gcs_server"}
    raylet = _raylet_at(node.raylet_socket_name)
    return sorted(dead | ({"raylet"} if raylet and not _runs(raylet) else set()))


@lru_cache(maxsize=1)
def _raylet_at(socket_name: str) -> psutil.Process | None:
    """The raylet of this machine that listens there: it may be another session's; None: it cannot be seen."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "raylet" and f"--raylet_socket_name={socket_name}" in (
            process.info["cmdline"] or ()
        ):
            return process
    return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _start(settings: ClusterSettings, over: threading.Event) -> None:
    options: dict[str, Any] = {"address": settings.address, "log_to_driver": False, "logging_level": "error"}
    if settings.address == "local":
        options |= {"num_cpus": max(settings.workers, os.cpu_count() or 1), "include_dashboard": False}
    seconds, began = settings.start_timeout_s, time.monotonic()
    try:
        _await_port(settings.address, seconds)
        with _quiet_start():
            started = within(began + seconds - time.monotonic(), lambda: ray.init(**options), over)
        ray_lives()  # finds the raylet while it lives
    except (Exception, SystemExit) as error:  # Ray raises many kinds, and exits on some
        raise _not_started(settings, error) from error
    if not started:
        raise _not_started(settings, TimeoutError(f"no answer within {seconds:.0f} s (cluster.start_timeout_s)"))


def _not_started(settings: ClusterSettings, error: BaseException) -> MachineError:
    said = next((line.strip() for line in str(error).split("\n") if line.strip()), type(error).__name__)[:300]
    said = said.rstrip(". ")
    if settings.address != "local":
        return MachineError(
            f"No Ray cluster answers at cluster.address {settings.address!r}: {said}. Start one there with this "
            f"version of Ray ({ray.__version__}) and of Python, or set `address: local`, {AGAIN}"
        )
    folder = tempfile.gettempdir()
    if isinstance(error, TimeoutError):
        return MachineError(f"Ray did not start: {said}. End other programs, or raise that setting, {AGAIN}")
    if isinstance(error, OSError | ValueError):
        return MachineError(
            f"Ray cannot start in the folder for temporary files, {folder}: {said}. Set TMPDIR to a short path of "
            f"a folder that can be written to, such as /tmp, {AGAIN}"
        )
    return MachineError(
        f"Ray did not start: {said}. Look at the room in {folder} and /dev/shm, and at the memory, {AGAIN}"
    )


def _await_port(address: str, seconds: float) -> None:
    """Wait until someone listens at `host:port`: Ray itself would ask for minutes, whatever the setting says."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return
    began = time.monotonic()
    while True:
        left = began + seconds - time.monotonic()
        try:
            with socket.create_connection((host, int(port)), timeout=max(0.1, min(5.0, left))):
                return
        except OSError as error:
            if left <= 1:
                raise ConnectionError(f"{error.strerror or error}, for {seconds:.0f} s") from error
            time.sleep(1)


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Leave signals and standard output to this process while Ray starts.

    Ray takes SIGTERM twice, in Python and in C++, where it prints a stack. The C++ handler is installed once for a
    process: it is done here, and undone at once. A thread would print the log of a node that died.
    """
    mine = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    take, listen = ray_utils.set_sigterm_handler, ray_worker.listen_error_messages
    ray_utils.set_sigterm_handler, ray_worker.listen_error_messages = _nothing, _nothing
    with suppress(AttributeError, OSError):  # another build of Ray, which then prints its stack
        install = ctypes.CDLL(_raylet.__file__)._ZN3ray6RayLog27InstallFailureSignalHandlerEPKcb
        install.argtypes = [ctypes.c_char_p, ctypes.c_bool]
        install(None, False)
    _restore(mine)
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler, ray_worker.listen_error_messages = take, listen
        _restore(mine)


def _nothing(*_: object) -> None:
    """In place of what Ray would do."""


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)


def _end() -> None:
    node = ray_worker._global_node
    if node is not None and _dead():
        node.kill_all_processes(check_alive=False, allow_graceful=False)
    ray.shutdown()
