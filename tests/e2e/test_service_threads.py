"""Threads of an attributor: a head learns in one while another one reads queries out."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tribute.catalog import pilot_queries
from tribute.config import Project
from tribute.readout import Head
from tribute.serving.attributing.loaded import LoadedModel, Work


def test_threads_that_use_a_model_at_once_get_what_each_gets_alone(finished: Project) -> None:
    model = LoadedModel(finished)
    queries = pilot_queries(finished, 60)
    rows = [Work({"tokens": queries.rows["tokens"][row : row + 1]}) for row in range(60)]
    influence_RQU = np.stack([piece.values for piece in model.read(rows)], axis=1)
    head = Head.fit(model.features(queries), influence_RQU, model.design, 0.05)
    works = [Work({"tokens": queries.rows["tokens"][start : start + 3]}, "predicted", head) for start in range(9)]
    alone = model.features(queries), np.stack([piece.values for piece in model.read(works)])
    with ThreadPoolExecutor(2) as threads:
        learning = threads.submit(lambda: [model.features(queries) for _ in range(30)])
        reading = threads.submit(lambda: [np.stack([p.values for p in model.read(works)]) for _ in range(30)])
    for feature_Qd in learning.result():
        np.testing.assert_array_equal(feature_Qd, alone[0])
    for values_Qk in reading.result():
        np.testing.assert_array_equal(values_Qk, alone[1])
