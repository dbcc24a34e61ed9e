"""Crediting of feature vectors: bit-identical examples in several sources are credited once."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import date

import numpy as np

from tribute.corpus.sources import Columns, Duplicates


def credit_examples_once(
    examples: Mapping[str, Columns], dates: Mapping[str, date] | None = None
) -> tuple[dict[str, Columns], tuple[Duplicates, ...]]:
    """Remove examples that another source claimed first; returns the rest and the duplicates.

    Repetitions within a source stay, since frequencies are part of such data.

    Args:
        dates: claim dates of sources; an unknown date is later than any. None: the first source by id is credited.
    """
    owner: dict[bytes, str] = {}
    credited: Counter[tuple[str, str]] = Counter()
    kept: dict[str, Columns] = {}
    for source_id in sorted(examples, key=lambda each: ((dates or {}).get(each, date.max), each)):
        columns = examples[source_id]
        rows = zip(columns["features"], columns["labels"], strict=True)
        digests = [hashlib.sha256(features.tobytes() + label.tobytes()).digest() for features, label in rows]
        owners = [owner.setdefault(digest, source_id) for digest in digests]
        credited.update((source_id, each) for each in owners if each != source_id)
        owned = np.array([each == source_id for each in owners], bool)
        kept[source_id] = {name: values[owned] for name, values in columns.items()}
    return kept, tuple(Duplicates(*pair, "exact", count) for pair, count in sorted(credited.items()))
