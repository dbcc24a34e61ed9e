"""Where benchmarks and tests find MNIST: a folder that is named, the folder beside the clone, or a cache.

Copies are compressed in more than one way, so that a folder's files are known by the digest of their content, and
those of the network by the digest of the file too.
"""

import gzip
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

VARIABLE = "TRIBUTE_DATA"
BESIDE = Path(__file__).parents[3] / "shared" / "data"
ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"


class Digests(NamedTuple):
    """SHA-256 of a file as it is fetched, and of what it holds."""

    fetched: str
    content: str


FILES = {
    "train-images-idx3-ubyte.gz": Digests(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte.gz": Digests(
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte.gz": Digests(
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte.gz": Digests(
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


class MissingData(SystemExit):
    """MNIST is not there. Uncaught, it ends the program with its one sentence and exit code 1."""


@lru_cache(maxsize=1)
def mnist_folder() -> Path:
    """The folder of MNIST's four files, each with the content that it should have.

    Raises:
        MissingData: they are nowhere and cannot be fetched, or the folder that is named holds others.
    """
    named = os.environ.get(VARIABLE)
    folder = Path(named or BESIDE).absolute()
    for place in (folder / "mnist", folder):
        if (place / next(iter(FILES))).is_file():
            return _checked(place)
    if named:
        raise MissingData(_sentence(f"{folder}, which {VARIABLE} names, does not hold it"))
    return _cached()


def _checked(folder: Path) -> Path:
    for name, digests in FILES.items():
        try:
            content = gzip.decompress((folder / name).read_bytes())
        except (OSError, EOFError) as error:
            raise MissingData(_sentence(f"{folder / name} cannot be read ({error})")) from error
        if hashlib.sha256(content).hexdigest() != digests.content:
            raise MissingData(_sentence(f"{folder / name} holds something else"))
    return folder


def _cached() -> Path:
    """The folder of the cache, filled over the network where a file is missing."""
    try:
        import pooch  # noqa: PLC0415  (an environment without it still reads folders)

        folder = Path(pooch.os_cache("tribute")) / "mnist"
        for name, digests in FILES.items():
            pooch.retrieve(ADDRESS + name, f"sha256:{digests.fetched}", fname=name, path=folder)
    except (ImportError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise MissingData(_sentence(f"it is not in {BESIDE}, and fetching it failed ({reason})")) from error
    return folder


def _sentence(reason: str) -> str:
    return (
        f"MNIST is needed, but {reason}: fetch {', '.join(FILES)} from {ADDRESS} into a folder `mnist`, and set "
        f"{VARIABLE} to the folder above it, or put that into {BESIDE}."
    )
