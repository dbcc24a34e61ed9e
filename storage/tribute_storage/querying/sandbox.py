"""Untrusted SQL in a separate process. The kernel limits it, and the parent can kill it.

DuckDB has no time limit, and a long function call cannot be interrupted. A process can be killed.
The request goes to the child as JSON on stdin, the answer comes back as an Arrow stream on stdout.
"""

import ctypes
import importlib
import json
import math
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import duckdb
import pyarrow as pa

from tribute_storage.errors import LakeError
from tribute_storage.querying.reading_only import require_reading_only

GIB = 2**30
THREADS = min(4, os.cpu_count() or 1)
# Address space that DuckDB 2.0 reserves beyond its memory limit: measured up to 450 MiB with one malloc arena, of
# which 95 MiB when it opens. It starts a thread per core before it hears how many it may use.
OVERHEAD_BYTES = 768 * 2**20 + (os.cpu_count() or 1) * 9 * 2**20
COMMAND = [sys.executable, "-P", "-c", "from tribute_storage.querying.sandbox import answer_one; answer_one()"]
CHUNK_BYTES = 2**20
COMPLAINT_BYTES = 64 * 2**10
BATCH_ROWS = 2**16
REFUSED, OUT_OF_MEMORY, FAILED = 3, 4, 5
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF, LANDLOCK_VERSION = 444, 446, 1
# Landlock's rights that change files: execute, write, remove, make every kind; from its 2nd and 3rd version on
# also link across folders and truncate. Reading a file or a folder (bits 2 and 3) stays free.
CHANGES = 0b111_1111_1111_0011

OF_FILES = re.compile(r"parquet|out of buffer|TProtocol|IO Error", re.IGNORECASE)
"""In errors of DuckDB about the files that it reads."""

Opener = Callable[..., duckdb.DuckDBPyConnection]


class ReadingFailed(LakeError):
    """A query failed at a file, maybe: the message is DuckDB's."""


@dataclass(frozen=True)
class Limits:
    """Resource limits of one query.

    Attributes:
        seconds: wall-clock time from the start of its process to the end of its answer.
        memory_gib: memory of DuckDB, and size of the answer, GiB.

    Raises:
        LakeError: a limit is not a positive number.
    """

    seconds: float = 60
    memory_gib: float = 2

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < math.inf:
                raise LakeError(f"The limit {name} is {value}; give a positive number.")

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return int(self.memory_gib * GIB)

    @property
    def too_slow(self) -> LakeError:
        """The error for a query that exceeds the time limit."""
        return LakeError(
            f"The query ran longer than {self.seconds:g} s and was stopped. Narrow it down, or raise --timeout."
        )

    @property
    def too_much(self) -> LakeError:
        """The error for a query that exceeds the memory limit."""
        return LakeError(
            f"The query needed more than {self.memory_gib:g} GiB of memory and was stopped. Narrow it down, or "
            "raise --memory."
        )


def run(opener: Opener, arguments: list[Any], sql: str, limits: Limits) -> pa.Table:
    """The answer to `sql` on the connection that `opener(*arguments, limits)` makes, in a process of its own.

    Args:
        opener: a module's function that ends with `fence`; the child imports it by name.
        arguments: what JSON can hold.

    Raises:
        LakeError: the statement is refused or fails, or it was stopped at a limit; says which.
    """
    call = {"module": opener.__module__, "opener": opener.__qualname__, "arguments": arguments}
    request = call | {"sql": sql, "limits": asdict(limits), "parent": os.getpid()}
    deadline = time.monotonic() + limits.seconds
    path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
    # One malloc arena: each further one reserves 64 MiB of address space, which the limit would count.
    environment = os.environ | {"PYTHONPATH": path, "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as child:
        try:
            answer, complaint = _exchange(child, json.dumps(request).encode(), deadline, limits)
            code = child.wait(max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            raise limits.too_slow from None
        finally:
            child.kill()
    return _table(answer) if code == 0 else _explain(code, complaint.decode(errors="replace"), limits)


def fence(connection: duckdb.DuckDBPyConnection, readable: dict[str, str], limits: Limits) -> None:
    """Limit the files and resources of statements on `connection`, and lock its settings.

    Args:
        readable: SQL lists of paths for DuckDB's settings `allowed_paths` or `allowed_directories`.
    """
    settings = {
        "temp_directory": "''",
        **readable,
        "threads": str(THREADS),
        "memory_limit": f"'{limits.memory_bytes // 1024}KiB'",
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    for name, value in settings.items():
        connection.execute(f"SET {name} = {value}")


def answer_one() -> NoReturn:
    """The child: read one request from stdin, limit this process, answer on stdout and end."""
    _die_with_parent()
    request = json.loads(sys.stdin.buffer.read())
    if os.getppid() != request["parent"]:
        os._exit(1)
    limits = Limits(**request["limits"])
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not enter the answer
    opener = getattr(importlib.import_module(request["module"]), request["opener"])
    _limit_process(limits)
    try:
        _answer(opener(*request["arguments"], limits), request["sql"], answer)
    except (LakeError, MemoryError, duckdb.Error, pa.ArrowException, OSError) as error:
        _complain(error)
    os._exit(0)  # skip clean-up, because the process may be at its limits


def _answer(connection: duckdb.DuckDBPyConnection, sql: str, sink: IO[bytes]) -> None:
    require_reading_only(connection, sql)
    reader = connection.sql(sql).to_arrow_reader(BATCH_ROWS)
    with pa.ipc.new_stream(sink, reader.schema) as stream:
        for batch in reader:
            stream.write_batch(batch)
    sink.flush()


def _complain(error: Exception) -> NoReturn:
    """Tell the parent on stderr; DuckDB's errors reach us as OSError once the answer streams."""
    memory = (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError)
    message = str(error).rpartition("LakeError: ")[2]  # of an error of ours inside a function that DuckDB calls
    full = (
        isinstance(error, memory)
        or "Out of Memory" in message
        or "bad_alloc" in message
        or "bad allocation" in message
    )
    with suppress(OSError):
        os.write(2, b"\0" + message.encode(errors="replace")[: COMPLAINT_BYTES // 2])
    of_files = not isinstance(error, LakeError) and OF_FILES.search(message)
    os._exit(OUT_OF_MEMORY if full else FAILED if of_files else REFUSED)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _limit_process(limits: Limits) -> None:
    """Set the kernel's limits. Where the platform lacks one, DuckDB's own limit applies."""
    seconds = math.ceil(limits.seconds * THREADS) + 10
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    wanted = {"RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_CPU": seconds}
    if sys.platform == "linux":
        wanted["RLIMIT_AS"] = _address_space() + limits.memory_bytes + OVERHEAD_BYTES
        _forbid_changes()
    for name, value in wanted.items():
        with suppress(AttributeError, ValueError, OSError, OverflowError):
            resource.setrlimit(getattr(resource, name), (value, value))


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * resource.getpagesize()


def _forbid_changes() -> None:
    """Forbid this thread and those it starts to write, create, truncate or remove files and to start programs.

    RLIMIT_FSIZE alone would let a file be truncated to nothing or deleted. Kernels without Landlock ignore it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION)
    if version < 1:
        return
    handled = ctypes.c_uint64(CHANGES & (2 ** (12 + min(version, 3)) - 1))
    rules = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.syscall(LANDLOCK_RESTRICT_SELF, rules, 0)


def _exchange(
    child: "subprocess.Popen[bytes]", request: bytes, deadline: float, limits: Limits
) -> tuple[bytearray, bytearray]:
    """Send the request and collect both outputs, up to the limits."""
    assert child.stdin and child.stdout and child.stderr
    answer, complaint = bytearray(), bytearray()
    os.set_blocking(child.stdin.fileno(), False)
    with selectors.DefaultSelector() as pipes:
        pipes.register(child.stdin, selectors.EVENT_WRITE)
        pipes.register(child.stdout, selectors.EVENT_READ, answer)
        pipes.register(child.stderr, selectors.EVENT_READ, complaint)
        while pipes.get_map():
            for key, _ in pipes.select(min(max(deadline - time.monotonic(), 0), 60)):
                if key.data is None:
                    request = _send(key.fd, request)
                    done = not request
                else:
                    done = _receive(key.fd, key.data)
                if done:
                    pipes.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
            if time.monotonic() >= deadline:
                raise limits.too_slow
            if len(answer) > limits.memory_bytes:
                raise LakeError(
                    f"The answer is larger than {limits.memory_gib:g} GiB. Ask for fewer rows or columns, or "
                    "raise --memory."
                )
            del complaint[COMPLAINT_BYTES:]
    return answer, complaint


def _send(pipe: int, request: bytes) -> bytes:
    try:
        return request[os.write(pipe, request) :]
    except BrokenPipeError:  # the child is gone; its exit code says why
        return b""


def _receive(pipe: int, into: bytearray) -> bool:
    """Whether the pipe has ended."""
    chunk = os.read(pipe, CHUNK_BYTES)
    into += chunk
    return not chunk


def _table(answer: bytearray) -> pa.Table:
    try:
        return pa.ipc.open_stream(pa.py_buffer(answer)).read_all()
    except pa.ArrowException as error:
        raise LakeError(f"The query's process sent a broken answer: {error}.") from error


def _explain(code: int, complaint: str, limits: Limits) -> NoReturn:
    if code == REFUSED:
        raise LakeError(complaint.partition("\0")[2])
    if code == FAILED:
        raise ReadingFailed(complaint.partition("\0")[2])
    if code == OUT_OF_MEMORY:
        raise limits.too_much
    if code == -signal.SIGXCPU:
        raise limits.too_slow
    how = f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    raise LakeError(
        f"The query's process {how} before it had answered. If the query is large, narrow it down, or raise "
        f"--memory (now {limits.memory_gib:g} GiB)."
    )
