"""Uses that wait for delivery in files, so that a process that is killed loses none.

Each process has a folder of its own under the spool's, which it locks, and adds uses to numbered files, a line of
JSON each. `position` says how far the oldest file is delivered; it may lag behind, since the service records an id
once. A file is deleted when it is delivered. A new process takes over the files of those that are no more.
"""

import json
import os
from collections import deque
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from tribute.client.reporting.backlog import BacklogFull
from tribute.errors import MachineError

FILE_BYTES = 8 << 20
CAPACITY_BYTES = 1 << 30
_LINES = "*.jsonl"


class Spool:
    """A queue in files. One process uses it at a time.

    Args:
        root: folder of the spools of all processes.

    Raises:
        MachineError: the folder cannot be used.
    """

    survives = True

    def __init__(self, root: Path, capacity: int = CAPACITY_BYTES, file_bytes: int = FILE_BYTES) -> None:
        self._capacity, self._file_bytes = capacity, file_bytes
        self._files, self._start = deque[Path](), 0
        self._bytes = self._count = self._written = 0
        self._writer: int | None = None
        self._finished, self._ends = list[int](), list[tuple[int, int]]()
        try:
            self._lock, self._folder = _own_folder(root)
            self._open(root)
        except OSError as error:
            raise MachineError(f"The spool {root} cannot be used: {error}. Mend it, and start again") from error

    def add(self, line: bytes) -> None:
        """See `Backlog`. What is added survives the process at once, and a power failure after `unsynced`."""
        if self._bytes + len(line) > self._capacity:
            raise BacklogFull(f"the spool holds {self._bytes:,} bytes already")
        try:
            if self._writer is None or self._written >= self._file_bytes:
                self._begin_file()
            assert self._writer is not None
            self._append(self._writer, line + b"\n")
        except OSError as error:
            raise BacklogFull(f"the spool cannot be written: {error}") from None
        self._bytes += len(line) + 1
        self._written += len(line) + 1
        self._count += 1

    def peek(self, most: int) -> list[bytes]:
        """See `Backlog`."""
        found, self._ends, start = list[bytes](), [], self._start
        for number, path in enumerate(self._files):
            with path.open("rb") as file:
                file.seek(start)
                while len(found) < most and (line := file.readline()):
                    found.append(line.rstrip(b"\n"))
                    self._ends.append((number, file.tell()))
            if len(found) == most:
                break
            start = 0
        return found

    def advance(self, count: int) -> None:
        """See `Backlog`."""
        if not count:
            return
        passed, self._start = self._ends[count - 1]
        self._count -= count
        self._ends = []
        done = [self._files.popleft() for _ in range(passed)]
        if self._files and self._start == self._files[0].stat().st_size:
            done.append(self._files.popleft())
            self._start = 0
        if not self._files and self._writer is not None:
            os.close(self._writer)
            self._writer = None
        self._note_position()
        for path in done:
            self._bytes -= path.stat().st_size
            path.unlink()

    def unsynced(self) -> list[int]:
        """See `Backlog`."""
        found, self._finished = self._finished, []
        return found if self._writer is None else [*found, os.dup(self._writer)]

    def close(self) -> None:
        """See `Backlog`."""
        for descriptor in self.unsynced():
            os.fsync(descriptor)
            os.close(descriptor)
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None
        self._lock.release()

    def __len__(self) -> int:
        return self._count

    def _adopt(self, root: Path) -> None:
        """Take over the files of processes that are no more. Their delivered uses are sent again, harmlessly."""
        for other in sorted(root.glob("process-*")):
            lock = FileLock(other / "lock")
            if other == self._folder:
                continue
            try:
                with lock.acquire(timeout=0):
                    for path in sorted(other.glob(_LINES)):
                        path.rename(self._folder / _name(self._next))
                        self._next += 1
                    (other / "position").unlink(missing_ok=True)
            except Timeout:
                continue

    def _open(self, root: Path) -> None:
        name, self._start = _position(self._folder / "position")
        for path in self._folder.glob(_LINES):
            if path.name < name:  # delivered; the process ended before it was deleted
                path.unlink()
        self._next = max([int(Path(name).stem or 0), *(int(path.stem) for path in self._folder.glob(_LINES))]) + 1
        self._adopt(root)
        self._files = deque(sorted(self._folder.glob(_LINES)))
        if not self._files or self._files[0].name != name:
            self._start = 0
        self._bytes = sum(path.stat().st_size for path in self._files)
        self._count = sum(_lines(path, self._start if not place else 0) for place, path in enumerate(self._files))

    def _begin_file(self) -> None:
        path = self._folder / _name(self._next)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        if self._writer is not None:
            self._finished.append(self._writer)
        self._writer, self._written = descriptor, 0
        self._next += 1
        self._files.append(path)
        self._finished.append(os.open(self._folder, os.O_RDONLY))

    def _append(self, descriptor: int, line: bytes) -> None:
        """The whole line, or nothing of it."""
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError("the disk is full")
        except OSError:
            os.ftruncate(descriptor, size)
            raise

    def _note_position(self) -> None:
        name = self._files[0].name if self._files else _name(self._next)
        staged = self._folder / "position.new"
        staged.write_text(json.dumps({"file": name, "start": self._start}))
        staged.replace(self._folder / "position")


def _own_folder(root: Path) -> tuple[FileLock, Path]:
    for number in count():
        folder = root / f"process-{number}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return lock, folder
    raise AssertionError("unreachable")


def _position(path: Path) -> tuple[str, int]:
    """The file that is read next, and where in it; the beginning if this is unknown."""
    try:
        found = json.loads(path.read_bytes())
        return _name(int(Path(found["file"]).stem)), int(found["start"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "", 0


def _name(number: int) -> str:
    return f"{number:012}.jsonl"


def _lines(path: Path, start: int) -> int:
    with path.open("rb") as file:
        file.seek(start)
        return sum(1 for _ in file)
