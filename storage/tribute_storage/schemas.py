"""The tables of the lake: Arrow types, which columns may be empty, and what each one means.

A unit stands in the column's name (`_nats`, `_minor`, `_uri`) and in its text. Ids are free text and stay
physical columns; exact fractions and decimals are text, so that no reader turns them into floats.
"""

import pyarrow as pa

from tribute_storage.errors import LakeError

TEXT = pa.string()
COUNT = pa.int64()
SMALL = pa.int32()
REAL = pa.float64()
MOMENT = pa.timestamp("us", tz="UTC")


def _column(name: str, type_: pa.DataType, doc: str) -> pa.Field:
    return pa.field(name, type_, nullable=False, metadata={"doc": doc})


def _optional(name: str, type_: pa.DataType, doc: str) -> pa.Field:
    return pa.field(name, type_, nullable=True, metadata={"doc": doc})


def _table(doc: str, *columns: pa.Field) -> pa.Schema:
    run_id = _column("run_id", TEXT, "the run that committed this row")
    return pa.schema([run_id, *columns], metadata={"doc": doc})


def doc_of(documented: pa.Schema | pa.Field) -> str:
    """What a table or a column means, as its schema says it."""
    return (documented.metadata or {}).get(b"doc", b"").decode()


def schema_of(table: str) -> pa.Schema:
    """The schema of `table`.

    Raises:
        LakeError: the lake has no such table; lists those it has.
    """
    if table not in SCHEMAS:
        raise LakeError(f"The lake has no table {table!r}; it has: {', '.join(SCHEMAS)}.")
    return SCHEMAS[table]


SOURCE = _column("source_id", TEXT, "the unit of the corpus that is weighted: a site, an imprint, a data set")
PUBLISHER = _column("publisher_id", TEXT, "the payee")
REPLICATE = _column("replicate", SMALL, "number of the training repetition, from 0")
PERIOD = _column("period", TEXT, "the month that is valued, as YYYY-MM")
SIMULATE_RUN = _column("simulate_run", TEXT, "run_id of the simulations that were read out")
QUERY = _column("query_id", TEXT, "one use of the model")
SPLIT = _column("split", TEXT, "the publisher's part of the source, an exact fraction such as 1/3")
VERSION = _column("version", TEXT, "version of the source that was read")
LICENSE = _column("license", TEXT, "SPDX licence expression; NOASSERTION where the source gives none")
ARTIFACT_URI = _column("artifact_uri", TEXT, "where the safetensors file is, relative to the working folder")
ARTIFACT_SHA256 = _column("artifact_sha256", TEXT, "SHA-256 of the safetensors file, hexadecimal")
STATEMENT = _column("statement_id", TEXT, "a publisher's account for a period, whatever its version")

SCHEMAS: dict[str, pa.Schema] = {
    "corpus_sources": _table(
        "One row per source of a corpus as it was read.",
        SOURCE,
        _column("title", TEXT, "name of the source for people"),
        _column("publisher", TEXT, "publisher named by the source's own metadata"),
        VERSION,
        LICENSE,
        _column("documents", COUNT, "documents of the source that may be trained on"),
        _column("held_out_documents", COUNT, "documents kept for queries, never trained on"),
        _column("bytes", COUNT, "size of the source's documents, bytes"),
        _column("tokens", COUNT, "training tokens (text) or examples (arrays)"),
        _column("examples", COUNT, "training examples"),
        _column("held_out_examples", COUNT, "held-out examples"),
        _column("sha256", TEXT, "SHA-256 over the source's content, hexadecimal"),
    ),
    "corpus_documents": _table(
        "One row per document of a corpus, in training or held out.",
        SOURCE,
        _column("document_id", TEXT, "the document within its source"),
        _column("sha256", TEXT, "SHA-256 of the document's content, hexadecimal"),
        _column("bytes", COUNT, "size of the document, bytes"),
        _column("held_out", pa.bool_(), "true: kept for queries, never trained on"),
        VERSION,
        LICENSE,
    ),
    "publishers": _table(
        "One row per payee.",
        PUBLISHER,
        _column("name", TEXT, "name of the publisher for people"),
    ),
    "rights": _table(
        "Who is paid for a source, from when to when, and for which part.",
        SOURCE,
        PUBLISHER,
        SPLIT,
        _optional("valid_from", pa.date32(), "first day of the right; empty: since ever"),
        _optional("valid_to", pa.date32(), "first day after the right (exclusive); empty: without end"),
    ),
    "trajectories": _table(
        "One row per recorded training: what simulations start from.",
        _column("corpus_run", TEXT, "run_id of the corpus that was trained on"),
        _column("corpus_sha256", TEXT, "SHA-256 over the corpus that was trained on, hexadecimal"),
        REPLICATE,
        _column("seed", COUNT, "seed of the initial state and the batch order"),
        _column("steps", COUNT, "training steps"),
        _column("parameters", COUNT, "parameters of the model"),
        _column("final_loss_nats", REAL, "training loss at the final parameters, nats per token or example"),
        ARTIFACT_URI,
        ARTIFACT_SHA256,
    ),
    "simulations": _table(
        "One row per simulated response of the parameters, or per simulation that failed.",
        _column("train_run", TEXT, "run_id of the trajectories"),
        _column("unit_id", TEXT, "what was simulated: a source's id, a group, or the rest of a coalition"),
        _column("removed", pa.list_(TEXT), "the sources whose weight was lowered together"),
        _optional("source_id", TEXT, "the source, when the unit is a single one"),
        REPLICATE,
        _column("seed", COUNT, "seed of the training that was simulated"),
        _column("mode", TEXT, "paired or tangent"),
        _column("base", TEXT, "replay (the training's last steps again) or continue (further steps)"),
        _column("notion", TEXT, "leave_one_out, banzhaf or shapley"),
        _column("scope", TEXT, "which parameters may move, such as all"),
        _column("horizon", REAL, "part of the training's learning-rate mass that was run again, 0 to 1"),
        _column("horizon_steps", COUNT, "steps that were simulated"),
        _column("weight", REAL, "weight of all sources in the unperturbed run"),
        _column("epsilon", REAL, "by how much the unit's weight was lowered; 1: it is absent"),
        _column("settings_json", TEXT, "settings of task, training and simulation, and software versions, JSON"),
        _column("device", TEXT, "what it was computed on: cpu or cuda"),
        _optional("effective_damping", REAL, "lambda + 1 / (rate x steps); empty: not defined for the optimizer"),
        _optional("smoothness", REAL, "relative change of the response at another size; empty: not checked"),
        _optional("probe_nats", REAL, "worth of a group on a sample of training examples, nats; empty: no groups"),
        _optional("failed_step", COUNT, "step at which the response exploded; empty: it did not"),
        _optional("response_norm", REAL, "Euclidean length of the response, in units of the parameters"),
        _optional("replay_drift", REAL, "largest absolute difference of replayed and recorded parameters"),
        _optional("artifact_uri", TEXT, "safetensors file of the response, relative to the working folder"),
        _optional("artifact_sha256", TEXT, "SHA-256 of that file, hexadecimal"),
    ),
    "retrains": _table(
        "The bank of real retrains: one row per training and set of sources that it went without.",
        _column("bank", TEXT, "hash of corpus, task and training, whatever the seed"),
        _column("seed", COUNT, "seed of the initial state and the batch order"),
        _column("unit_id", TEXT, "the set of sources, hashed; whole: none were left out"),
        _column("removed", pa.list_(TEXT), "the sources that were left out"),
        _optional("artifact_uri", TEXT, "safetensors file of the response, or of the whole training's end state"),
        _optional("artifact_sha256", TEXT, "SHA-256 of that file, hexadecimal"),
    ),
    "evaluations": _table(
        "How good a method is, judged by real retraining on queries that nothing was tuned on.",
        SIMULATE_RUN,
        PERIOD,
        _column("method", TEXT, "a read-out, a way to pay, or a baseline"),
        _column("kind", TEXT, "payment, readout or baseline"),
        _column("metric", TEXT, "such as lds_half_other_seed; see README, How sure"),
        _column("value", REAL, "the figure"),
        _optional("ci_low", REAL, "lower end of its 95% bootstrap interval; empty: none was made"),
        _optional("ci_high", REAL, "upper end of it"),
    ),
    "certificates": _table(
        "One row per quality certificate: what statements name.",
        SIMULATE_RUN,
        PERIOD,
        _column(
            "misallocated_pool", REAL, "part of the pool that goes to another payee than by retraining, 0 to 1"
        ),
        _optional("ceiling", REAL, "the same of retraining against retraining; empty: there was one other seed"),
        _column("seeds", COUNT, "other seeds under which every source was left out"),
        _column("token_count", REAL, "the same of paying by tokens"),
        _column("coverage_95", REAL, "part of the 95% intervals that hold the retrained truth"),
        _column("json", TEXT, "all figures, canonical JSON"),
        _column("sha256", TEXT, "SHA-256 of the certificate's page, hexadecimal"),
    ),
    "estimates": _table(
        "What calibration compares: usage-weighted totals of a batch of queries, by simulation and by retraining.",
        _column("simulate_run", TEXT, "run_id of the simulations that were read out"),
        _column("name", TEXT, "simulated (what is paid by), estimate N, or retrained"),
        _column("unit_id", TEXT, "the source or group"),
        REPLICATE,
        _column("nats", REAL, "sum of uses times influence, nats"),
    ),
    "influence": _table(
        "How much a source helped a query: positive means that it did.",
        SOURCE,
        REPLICATE,
        QUERY,
        _column("influence_nats", pa.float32(), "measurement minus its value without the source, nats"),
        _column("std_error_nats", pa.float32(), "standard error of the read-out itself, nats; 0: exact"),
    ),
    "predicted": _table(
        "What the distilled read-out adds to the sampled queries' sums: sum of predicted - expanded, by bucket.",
        SOURCE,
        REPLICATE,
        _column("bucket", SMALL, "group of queries: the lower half of the MD5 of query_id, modulo 128"),
        _column("predicted_nats", REAL, "usage-weighted prediction of all the bucket's queries, nats"),
        _column("expanded_nats", REAL, "the same as the sampled queries tell it, expanded to all, nats"),
    ),
    "queries": _table(
        "One row per attributed use of the model; never its text.",
        SIMULATE_RUN,
        PERIOD,
        QUERY,
        _column("origin", TEXT, "batch (held-out text) or service (a real use)"),
        _column("time", MOMENT, "when the query was made, UTC"),
        _optional("customer_id", TEXT, "who asked; empty: nobody in particular"),
        _column("weight", REAL, "usage weight of the query"),
        _column("inclusion_probability", REAL, "chance that the query was attributed, 0 to 1"),
        _column("readout_probability", REAL, "chance that it was read out exactly; below 1 only a sample was"),
        _column("similarity", REAL, "how much of it the training data hold, 0 to 1"),
        _column("unlike_corpus", pa.bool_(), "true: less like the training data than 99% of their held-out part"),
        _column("measurement_nats", REAL, "the measurement at the trained parameters, nats"),
        _column("content_sha256", TEXT, "SHA-256 of the query's content, hexadecimal"),
    ),
    "valuations": _table(
        "What a period's queries owe to each publisher, and to each of its sources.",
        SIMULATE_RUN,
        PERIOD,
        _column("level", TEXT, "publisher (a total) or line (one of its sources)"),
        PUBLISHER,
        _optional("source_id", TEXT, "the source of a line; empty at publisher level"),
        SPLIT,
        _column("queries", COUNT, "queries that were valued"),
        _column("tokens", REAL, "training tokens, times the split"),
        _column("token_share", REAL, "part of all training tokens, 0 to 1"),
        _column("attribution_nats", REAL, "weighted sum of influences, signed, nats"),
        _column("value_nats", REAL, "the attribution after calibration or shrinkage, nats"),
        _column("ci_low_nats", REAL, "lower end of the value's interval, nats"),
        _column("ci_high_nats", REAL, "upper end of the value's interval, nats"),
        _column("notion", TEXT, "what value means: leave_one_out, banzhaf or shapley"),
        _column("calibration", TEXT, "what the value was calibrated to, and how, JSON"),
        _column("shrinkage", REAL, "part of the value that the token count stands for, 0 to 1"),
        _column("share", TEXT, "part of the pool, an exact fraction such as 2/7"),
    ),
    "statements": _table(
        "One row per statement as it was sent.",
        _column("value_run", TEXT, "run_id of the valuation that is paid"),
        STATEMENT,
        _column("statement_version", SMALL, "1, 2, ...: a later version replaces an earlier one"),
        PERIOD,
        PUBLISHER,
        _column("currency", TEXT, "ISO 4217 code"),
        _column("currency_exponent", SMALL, "decimals of the currency: 2 means that 100 minor units are 1"),
        _column("pool_minor", COUNT, "money divided in the period, minor units"),
        _column("amount_minor", COUNT, "money due to the publisher, minor units"),
        _column("share", TEXT, "part of the pool, an exact fraction"),
        _column("json", TEXT, "the statement itself, canonical JSON"),
        _column("sha256", TEXT, "SHA-256 of the canonical JSON, hexadecimal"),
    ),
    "statement_lines": _table(
        "One row per source on a statement.",
        STATEMENT,
        _column("line_id", TEXT, "the line within its statement"),
        PERIOD,
        PUBLISHER,
        SOURCE,
        _column("attribution_signed_nats", TEXT, "weighted sum of influences as measured, decimal, nats"),
        _column("attribution_payable_nats", TEXT, "what of it is paid after the sign policy, decimal, nats"),
        _column("amount_minor", COUNT, "money due for the source, minor units"),
    ),
}
