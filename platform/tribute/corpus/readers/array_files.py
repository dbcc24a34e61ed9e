"""Reader of examples for classification, from Parquet or IDX files.

Held-out examples are chosen by their position, so they are the same in every run and when others are appended.
"""

import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.config import ArraysCorpusSettings, IdxCorpusSettings
from tribute.corpus.numbers import kept, numbers, single
from tribute.corpus.readers.rows import open_parquet, read_text
from tribute.corpus.sources import Columns
from tribute.errors import CorpusError
from tribute.ids import checked_id, excerpt

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


def read_arrays(settings: ArraysCorpusSettings) -> dict[str, Columns]:
    """Read examples by source from a .parquet file.

    Raises:
        CorpusError: the file, a row or a column is invalid; names it.
    """
    path = settings.path
    if not path.is_file():
        raise CorpusError(f"Corpus {path} does not exist. Correct corpus.path in project.yaml")
    names = (settings.source_column, settings.features_column, settings.label_column)
    table = open_parquet(path, names)
    features, labels = labelled(path, table[names[1]], table[names[2]])
    return by_source(table[names[0]].to_pylist(), features, labels, path)


def read_idx_corpus(settings: IdxCorpusSettings) -> dict[str, Columns]:
    """Read examples by source from IDX files and the file that assigns examples to sources.

    Raises:
        CorpusError: a file is missing or invalid; names it.
    """
    features, labels = read_idx_pair(settings.images, settings.labels)
    if not settings.assignment.is_file():
        raise CorpusError(
            f"{settings.assignment} does not exist. Write one source id per line, line i for example i"
        )
    assigned = read_text(settings.assignment).split("\n")
    assigned = assigned[:-1] if assigned[-1] == "" else assigned
    count = len(assigned)
    if count > len(features):
        raise CorpusError(
            f"{settings.assignment} has {count} lines, but {settings.images} has only {len(features)} images. "
            "Remove the extra lines"
        )
    return by_source(assigned, features[:count], labels[:count], settings.assignment)


def read_idx_pair(images: Path, labels: Path) -> Labelled:
    """Read images as features in [0, 1], [N, D], and their labels, [N].

    Raises:
        CorpusError: a file is missing or invalid, or the numbers of images and labels differ.
    """
    pixels, classes = _read_idx(images), _read_idx(labels)
    if len(pixels) != len(classes):
        raise CorpusError(
            f"{images} holds {len(pixels)} images, but {labels} {len(classes)} labels. Use matching files"
        )
    if classes.ndim != 1 or pixels.ndim < 2 or not pixels.size:
        raise CorpusError(f"{images} must hold images and {labels} one label each. Are they swapped, or empty?")
    features = pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)
    return features, classes.astype(np.int64)


def labelled(path: Path, features: pa.ChunkedArray, labels: pa.ChunkedArray) -> Labelled:
    """Feature and label columns of a table as arrays, [N, D] and [N].

    Raises:
        CorpusError: features are not finite lists of one length, or labels are not whole numbers from 0.
    """
    try:
        values = single(numbers(features.to_pylist()), f"{path}: column features")
    except (TypeError, ValueError):
        values = np.zeros(0, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise CorpusError(
            f"{path}: features must be lists of numbers, all of one length, without empty rows. Correct the column"
        )
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise CorpusError(f"{path}, row {bad[0] + 1}: features hold NaN or infinity. Correct or drop the row")
    if not pa.types.is_integer(labels.type) or labels.null_count:
        raise CorpusError(
            f"{path}: labels must be whole numbers without empty rows, got {labels.type}. Correct the column"
        )
    classes = kept(labels.to_numpy(), f"{path}: the label column").astype(np.int64)
    negative = np.flatnonzero(classes < 0)
    if len(negative):
        raise CorpusError(
            f"{path}, row {negative[0] + 1}: the label is {classes[negative[0]]}, expected a class "
            "from 0. Losses ignore "
            "labels such as -100, so the row would count without being trained on. Label it, or drop it"
        )
    return values, classes


def by_source(
    assigned: Sequence[object], features: NDArray[np.float32], labels: NDArray[np.int64], path: Path
) -> dict[str, Columns]:
    """Columns by source id.

    Raises:
        CorpusError: an example has no source, or one that is no id.
    """
    empty = [
        number for number, source_id in enumerate(assigned, 1) if source_id is None or not str(source_id).strip()
    ]
    if empty:
        raise CorpusError(f"{path}, row {empty[0]}: the source is empty. Name the source of every example")
    ids: dict[object, str] = {}
    for number, given in enumerate(assigned, 1):
        if isinstance(given, bool) or not isinstance(given, str | int):
            kind = type(given).__name__
            raise CorpusError(
                f"{path}, row {number}: the source is {excerpt(given)} ({kind}), expected text or a whole number. "
                "Write the column as text"
            )
        if given not in ids:
            try:
                ids[given] = checked_id(str(given))
            except ValueError as problem:
                raise CorpusError(f"{path}, row {number}: the source {problem}") from None
    names = sorted(set(ids.values()))
    position = {name: index for index, name in enumerate(names)}
    source_N = np.array([position[ids[given]] for given in assigned])
    return {
        name: {"features": features[source_N == index], "labels": labels[source_N == index]}
        for name, index in position.items()
    }


def hold_out(source_id: str, columns: Columns, part: float) -> tuple[Columns, Columns]:
    """Split rows into training and held-out ones: a hash chooses one of every 1 / `part` successive rows.

    What happens to a row depends on the source's id, the row's position and `part` alone, so appended rows change
    nothing. Of n rows, `part` n are held out, rounded up or down; of two or more at least the second, and never
    the first.
    """
    count, exact = len(columns["labels"]), Fraction(str(part))
    held_N = np.zeros(count, bool)
    for stratum in range(math.ceil(exact * count)):
        first, after = math.ceil(stratum / exact), math.ceil((stratum + 1) / exact)
        digest = hashlib.sha256(f"{source_id}/{stratum}".encode()).digest()
        row = first + int.from_bytes(digest[:8]) % (after - first) if stratum else 1
        held_N[row : row + 1] = True
    return {n: v[~held_N] for n, v in columns.items()}, {n: v[held_N] for n, v in columns.items()}


def _read_idx(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise CorpusError(f"{path} does not exist. Correct its path in project.yaml")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} cannot be decompressed: {error}. Download it again") from None
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise CorpusError(
            f"{path} is not an IDX file of bytes, which begins with 00 00 08 and a shape. Correct its path in "
            "project.yaml"
        )
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    body = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if len(body) != math.prod(int(n) for n in shape):
        raise CorpusError(
            f"{path} is truncated: its header says {shape.tolist()}, but it holds {len(body)} bytes. Download it "
            "again"
        )
    return body.reshape(shape)
