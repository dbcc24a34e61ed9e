"""Tables of attribution: queries, and the influence of each source on them."""

import pyarrow as pa

from tribute_storage.columns import (
    COUNT,
    MOMENT,
    PERIOD,
    QUERY,
    REAL,
    REPLICATE,
    SIMULATE_RUN,
    SMALL,
    SOURCE,
    TEXT,
    column,
    optional,
    table,
)

RETRAIN_RUN = column("retrain_run", TEXT, "the valuation's run of real trainings: run_id in `precisions`")
STEP = column("step", SMALL, "0: trainings known before; then a number for each batch of new ones")

TABLES: dict[str, pa.Schema] = {
    "influence": table(
        "How much a source helped a query: positive means that it did.",
        SOURCE,
        REPLICATE,
        QUERY,
        column(
            "influence_nats",
            pa.float32(),
            "measurement minus its value without the source, nats; in the unit of the estimator where "
            "attribution.method names one",
        ),
        column(
            "std_error_nats",
            pa.float32(),
            "standard error of the mean over replicates that sampled coalitions cause, nats, rounded up to 8 "
            "significant bits; 0: exact",
            bits=8,
        ),
        sort_by=("source_id", "replicate", "query_id"),
        tile={"source_id": 64, "query_id": 4096},
    ),
    "influence_tokens": table(
        "How much a source helped each token of a query: a row of `influence`, divided. Only where "
        "readout.tokens asked for it; a position without rows has 0.",
        SOURCE,
        REPLICATE,
        QUERY,
        column("position", SMALL, "the token's place in the query, from 0; of a model of bytes, the byte's"),
        column(
            "influence_nats",
            pa.float32(),
            "the position's part of influence.influence_nats, nats; the parts add up to it",
        ),
        sort_by=("source_id", "query_id", "replicate", "position"),
        tile={"source_id": 64, "query_id": 64},
    ),
    "predicted": table(
        "What the distilled read-out adds to the sampled queries' sums: sum of predicted - expanded, by bucket.",
        SOURCE,
        REPLICATE,
        column("bucket", SMALL, "group of queries: the lower half of the MD5 of query_id, modulo 128"),
        column(
            "predicted_nats",
            REAL,
            "usage-weighted prediction of the bucket's queries with readout_probability below 1, nats",
        ),
        column("expanded_nats", REAL, "the same as the sampled queries tell it, expanded to all, nats"),
        sort_by=("source_id", "replicate", "bucket"),
    ),
    "queries": table(
        "One row per attributed use of the model; never its text.",
        SIMULATE_RUN,
        PERIOD,
        QUERY,
        column("origin", TEXT, "batch (held-out text) or service (a real use)"),
        column("time", MOMENT, "when the query was made, UTC"),
        optional("customer_id", TEXT, "who asked; empty: nobody in particular"),
        column("weight", REAL, "usage weight of the query"),
        column("inclusion_probability", REAL, "chance that the query was attributed, 0 to 1"),
        column("readout_probability", REAL, "chance that it was read out exactly; below 1 only a sample was"),
        column("similarity", REAL, "how much of it the training data hold, 0 to 1"),
        column("unlike_corpus", pa.bool_(), "true: less like the training data than 99% of their held-out part"),
        column("measurement_nats", REAL, "the measurement at the trained parameters, nats"),
        column("content_sha256", TEXT, "SHA-256 of the query's content, hexadecimal"),
        sort_by=("period", "query_id"),
    ),
    "usage_events": table(
        "Uses of the model as they were reported, batch by batch; `usage` has each query once.",
        column("period", TEXT, "the month of the event's own time, UTC, as YYYY-MM, however late it came in"),
        QUERY,
        column("time", MOMENT, "when the query was made, UTC"),
        optional("customer_id", TEXT, "who asked; empty: nobody in particular"),
        column("weight", REAL, "usage weight of the query"),
        column("inclusion_probability", REAL, "chance that the query was reported, 0 to 1"),
        column("content_sha256", TEXT, "SHA-256 of the query's content, hexadecimal"),
        optional("content_json", TEXT, "text, or features and label, JSON; empty: it was not to be kept"),
        sort_by=("period", "query_id"),
    ),
    "estimates": table(
        "Usage-weighted totals of a batch of queries, by simulation: where a valuation begins.",
        column("simulate_run", TEXT, "run_id of the simulations that were read out"),
        column("name", TEXT, "simulated (what is paid by), or estimate N"),
        column("unit_id", TEXT, "the source or group"),
        REPLICATE,
        column("nats", REAL, "sum of uses times influence, nats; of an estimator, in its own unit"),
        sort_by=("name", "unit_id", "replicate"),
    ),
    "measurements": table(
        "What real trainings without some sources lost on a batch of queries; one run a step of a valuation.",
        RETRAIN_RUN,
        column("attribute_run", TEXT, "run of `queries` that they were read out on"),
        column("bank", TEXT, "where table `retrains` has the trainings"),
        STEP,
        column("seed", COUNT, "seed of the initial state and the batch order"),
        column("unit_id", TEXT, "the set of sources, hashed"),
        column("removed", pa.list_(TEXT), "the sources that were left out"),
        optional(
            "lost_nats",
            REAL,
            "sum of uses times what the seed's full training measures above this one, nats; empty: it diverged",
        ),
        column("cost", REAL, "trainings that it took; 2: the first under a new seed"),
        sort_by=("seed", "unit_id"),
    ),
    "precisions": table(
        "How precise a valuation was after every step of real trainings; committed when it was as asked for.",
        PERIOD,
        column("attribute_run", TEXT, "run of `queries` that are valued"),
        STEP,
        column("trainings", REAL, "trainings that were known after the step, at their cost"),
        column("expected_misallocation", REAL, "expected misallocated pool of what they tell, 0 to 1"),
        sort_by=("step",),
    ),
}
