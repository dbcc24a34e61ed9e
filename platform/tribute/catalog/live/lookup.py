"""One recorded use, found in the lake by its id.

Legend: R replicates, S sources.
"""

import numpy as np
import pyarrow as pa

from tribute.catalog.responses import corpus_tokens, recorded_trainings
from tribute.catalog.runs import lineage
from tribute.config import Project
from tribute_storage import open_tables
from tribute_storage.outbox import USE


def recorded_use(project: Project, query_id: str) -> pa.Table | None:
    """A use that a service recorded, with its influences, as one row of `tribute_storage.outbox.USE`.

    None: no service recorded it, under the settings of the project.
    """
    with open_tables(project.lake_root) as connection:
        rows = (
            connection.sql(
                "select * from queries where query_id = $1 and simulate_run = $2 and origin = 'service' limit 1",
                params=[query_id, lineage(project).simulate_run],
            )
            .to_arrow_table()
            .to_pylist()
        )
        if not rows:
            return None
        [query] = rows
        found = connection.execute(
            "select source_id, replicate, influence_nats, std_error_nats from influence "
            "where run_id = $1 and query_id = $2",
            [query["run_id"], query_id],
        ).fetchall()
    values = {name: query.get(name) for name in USE.names} | {"dated": True, "sampled": bool(found)}
    if found:
        source_ids, _ = corpus_tokens(project)
        column = {source_id: index for index, source_id in enumerate(source_ids)}
        influence_RS = np.full((len(recorded_trainings(project)), len(source_ids)), np.nan, np.float32)
        error_S = np.zeros(len(source_ids), np.float32)
        for source_id, replicate, nats, error in found:
            influence_RS[replicate, column[source_id]] = nats
            error_S[column[source_id]] = error
        values |= {"influence_nats": influence_RS.tobytes(), "error_nats": error_S.tobytes()}
    return pa.Table.from_pylist([values], USE)
