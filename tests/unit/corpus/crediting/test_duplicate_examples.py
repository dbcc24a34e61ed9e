"""Equal examples of arrays are credited once."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.corpus.small import idx_settings
from tribute.config import ArraysCorpusSettings, CreditingSettings
from tribute.corpus import Duplicates, read_corpus
from tribute.corpus.crediting.duplicate_examples import credit_examples_once


def test_examples_are_credited_once_to_the_last_bit(tmp_path: Path) -> None:
    features = [[0.0, 1.0], [2.0, 3.0], [0.0, 1.0], [0.0, 1.0], [2.0, 3.0], [2.0, 3.5], [0.0, 1.0]]
    table = {"source": list("aabbbcc"), "features": features, "label": [0, 1, 0, 1, 1, 1, 0]}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(table), path)
    settings = ArraysCorpusSettings(kind="arrays", path=path, held_out=0)
    corpus = read_corpus(settings)
    assert [(each.source.source_id, each.tokens) for each in corpus.sources] == [("a", 2), ("b", 1), ("c", 1)]
    assert corpus.duplicates == (Duplicates("b", "a", "exact", 2), Duplicates("c", "a", "exact", 1))
    off = settings.model_copy(update={"duplicates": CreditingSettings(credit="off")})
    assert [each.tokens for each in read_corpus(off).sources] == [2, 3, 2]


def test_examples_of_the_earliest_claim_and_own_repetitions_stay() -> None:
    one = {"features": np.ones((3, 2), np.float32), "labels": np.zeros(3, np.int64)}
    kept, found = credit_examples_once({"a": one, "b": one}, {"b": date(2025, 1, 1)})
    assert ([len(kept[s]["labels"]) for s in "ab"], found) == ([0, 3], (Duplicates("a", "b", "exact", 3),))


def test_a_source_of_images_that_copies_everything_is_left_out(tmp_path: Path) -> None:
    settings = idx_settings(tmp_path, ["b", "a", "c", "b", "a", "c"])
    assert read_corpus(settings).duplicates == ()
