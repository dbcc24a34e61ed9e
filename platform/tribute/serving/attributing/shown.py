"""A recorded use as its answer shows it.

Legend: R replicates, S sources, Q queries, k coordinates of a head.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from tribute.config import Project
from tribute.serving.attributing.answers import Estimated, influences, listed
from tribute.serving.attributing.loaded import LoadedModel
from tribute.serving.attributing.readings import predictions
from tribute.serving.heads import Heads

FACTS = ("query_id", "period", "readout_probability", "measurement_nats", "similarity", "unlike_corpus")
ONLY_SUMS = (
    "This use was predicted, and not drawn to be read out exactly. The lake keeps what was predicted in sums of "
    "the month only. Ask again with its content and record: false"
)
NOT_WIDENED = "The query is unlike the corpus: in its first answer, standard errors were wider for that"


def shown_use(project: Project, model: LoadedModel, uses: pa.Table) -> dict[str, Any]:
    """A use, [1], as a member of `queries` of an answer, with all sources.

    The read-out as it is known now: exact as soon as there is one; else predicted, while the use is in the outbox.
    Standard errors are not widened for queries that are unlike the corpus.
    """
    [row] = uses.to_pylist()
    count = len(model.source_ids)
    facts = {name: row[name] for name in FACTS}
    error_QS = np.zeros((1, count))
    if row["influence_nats"] is not None:
        influence_RQS = np.frombuffer(row["influence_nats"], np.float32).reshape(-1, 1, count).astype(np.float64)
        if row["error_nats"] is not None:
            error_QS[0] = np.frombuffer(row["error_nats"], np.float32)
        facts |= {"readout": "exact"}
    elif row["coordinates"] is not None:
        head = Heads(project).load(row["head_id"])
        coordinates_Qk = np.frombuffer(row["coordinates"], np.float32)[None]
        influence_RQS, error_QS = predictions(model.design, head, coordinates_Qk)
        facts |= {"readout": "distilled"}
    else:
        nothing = {"sources": [], "others": {"count": count, "influence_nats": None}}
        return facts | nothing | {"readout": "distilled", "note": ONLY_SUMS}
    if row["unlike_corpus"]:
        facts["note"] = NOT_WIDENED
    estimated = Estimated.of(influence_RQS, error_QS, np.ones(1))
    chosen = listed(estimated, 0, None)
    return facts | influences(estimated, 0, chosen, model.source_ids, "source_id")
