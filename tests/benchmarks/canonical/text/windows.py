"""The windows of text that the transformer is trained and asked on, in a file of the repository.

python -m tests.benchmarks.canonical.text.windows FOLDER cuts them anew out of the Markdown files of a folder. The
stored ones come from `docs` at commit e7b1478.

Legend: W bytes of a window.
"""

import hashlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.errors import DamagedFile

FILE = Path(__file__).with_name("windows.npz")
SHA256 = "528ad4ab5f1181ad7270f8946c802461bd2319b089dcff7d4b4c401ef87de455"
WINDOW = 65
"""Bytes: 64 of context, 64 predicted."""
EXAMPLES, QUERIES = 1000, 100


class Windows(NamedTuple):
    """ASCII bytes of the training examples, [N, W], and of the queries, [Q, W], uint8."""

    examples: NDArray[np.uint8]
    queries: NDArray[np.uint8]


def read_windows(path: Path = FILE) -> Windows:
    """The stored windows.

    Raises:
        DamagedFile: the file is not the one that the bank was made with.
    """
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise DamagedFile(
            f"{path} has SHA-256 {found}, expected {SHA256}: it is not the text of the bank. Take the file "
            "from the repository again"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Windows(arrays["examples"], arrays["queries"])


def cut_windows(folder: Path) -> Windows:
    """Random windows of all Markdown files of a folder, whose windows follow each other without overlap.

    Bytes that are not ASCII are left out.
    """
    pieces = []
    for path in sorted(folder.rglob("*.md")):
        letters = np.frombuffer(path.read_text().encode("ascii", "ignore"), np.uint8)
        count = len(letters) // WINDOW
        pieces.append(letters[: count * WINDOW].reshape(count, WINDOW))
    everything = np.concatenate(pieces)
    order = np.random.default_rng(0).permutation(len(everything))
    return Windows(everything[order[:EXAMPLES]], everything[order[EXAMPLES : EXAMPLES + QUERIES]])


def main() -> None:
    """Write the windows of a folder, and print the digest."""
    content = io.BytesIO()
    np.savez_compressed(content, **cut_windows(Path(sys.argv[1]))._asdict())
    FILE.write_bytes(content.getvalue())
    print(hashlib.sha256(content.getvalue()).hexdigest())


if __name__ == "__main__":
    main()
