"""Damage to a file that tribute wrote: cut, emptied, changed in one bit, gone, or replaced by another's."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    """The second half is gone."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def emptied(path: Path) -> None:
    """All of it is gone, and the file is there."""
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """One bit in the middle is another one."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def missing(path: Path) -> None:
    """The file is gone."""
    path.unlink()


def foreign(path: Path) -> None:
    """The file is a table of somebody else."""
    pq.write_table(pa.table({"artist": ["somebody"], "plays": [3]}), path)


def folder_gone(path: Path) -> None:
    """The folder is gone."""
    shutil.rmtree(path)


@contextmanager
def damaged(path: Path, damage: Damage, project: Path) -> Iterator[None]:
    """A file or folder of a project with damage, for the length of a block; it comes back as from a copy."""
    away = project / "copy"
    if path.is_dir():
        shutil.copytree(path, away)
    else:
        shutil.copyfile(path, away)
    try:
        damage(path)
        yield
    finally:
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        away.rename(path)


def parquet_of(lake: Path, table: str) -> Path:
    """The first file of a table."""
    return sorted((lake / table).glob("*.parquet"))[0]


def log_of(lake: Path, table: str) -> Path:
    """The first commit of a table."""
    return sorted((lake / table / "_delta_log").glob("*.json"))[0]
