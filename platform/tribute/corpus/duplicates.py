"""Exact and near duplicates: a text is credited once, to the first source (by id) that has it.

Near means that the sets of five-word shingles overlap by at least 80% (Jaccard), as estimated by MinHash.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from tribute.corpus.sources import Document

SHINGLE_WORDS = 5
SIMILARITY = 0.8
PERMUTATIONS = 64

BANDS = (16, 4)
"""Bands and rows of the index: of pairs at the limit it misses 2 in 10,000; the estimate then decides."""


def drop_duplicates(documents: Mapping[str, Sequence[Document]]) -> tuple[dict[str, list[Document]], int]:
    """Documents per source without repetitions, and how many were dropped.

    Short texts (under five words) are compared exactly only: there is too little of them to be similar by.
    """
    kept: dict[str, list[Document]] = {source_id: [] for source_id in documents}
    seen: set[str] = set()
    sketches: dict[str, MinHash] = {}
    index, dropped = MinHashLSH(num_perm=PERMUTATIONS, params=BANDS), 0
    for source_id in sorted(documents):
        for document in sorted(documents[source_id], key=lambda each: each.document_id):
            words = document.text.split()
            digest = hashlib.sha256(" ".join(words).encode()).hexdigest()
            sketch = _sketch(words)
            if digest in seen or (sketch is not None and _is_near(sketch, index, sketches)):
                dropped += 1
                continue
            seen.add(digest)
            if sketch is not None:
                index.insert(digest, sketch)
                sketches[digest] = sketch
            kept[source_id].append(document)
    return kept, dropped


def shingles(words: Sequence[str]) -> set[str]:
    """All runs of five words."""
    return {" ".join(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


def _sketch(words: Sequence[str]) -> MinHash | None:
    found = shingles(words)
    if not found:
        return None
    values: NDArray[np.uint64] = np.fromiter((zlib.crc32(s.encode()) for s in found), np.uint64, len(found))
    sketch = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
    sketch.update_batch(values)
    return sketch


def _is_near(sketch: MinHash, index: MinHashLSH, sketches: Mapping[str, MinHash]) -> bool:
    return any(sketch.jaccard(sketches[key]) >= SIMILARITY for key in index.query(sketch))
