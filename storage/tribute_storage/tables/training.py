"""Tables of the model: its trainings, simulations and retrains."""

import pyarrow as pa

from tribute_storage.columns import (
    ARTIFACT_SHA256,
    ARTIFACT_URI,
    COUNT,
    REAL,
    REPLICATE,
    SOURCE,
    TEXT,
    column,
    optional,
    table,
)

TABLES: dict[str, pa.Schema] = {
    "trajectories": table(
        "One row per recorded training: what simulations start from.",
        column("corpus_run", TEXT, "run_id of the corpus that was trained on"),
        column("corpus_sha256", TEXT, "SHA-256 over the corpus that was trained on, hexadecimal"),
        REPLICATE,
        column("seed", COUNT, "seed of the initial state and the batch order"),
        column("steps", COUNT, "training steps"),
        column("parameters", COUNT, "parameters of the model"),
        column("final_loss_nats", REAL, "training loss at the final parameters, nats per token or example"),
        ARTIFACT_URI,
        ARTIFACT_SHA256,
        sort_by=("replicate",),
    ),
    "learning": table(
        "What every training learnt of each source: one row per source and replicate.",
        REPLICATE,
        SOURCE,
        column("examples", COUNT, "training examples of the source that were measured, evenly spaced"),
        column(
            "loss_before_nats", REAL, "their mean training loss before the first step, nats per token or example"
        ),
        column("loss_after_nats", REAL, "the same at the final parameters, nats per token or example"),
        sort_by=("source_id", "replicate"),
    ),
    "simulations": table(
        "One row per simulated response, or simulation that failed, or unit that an estimator gathered.",
        column("train_run", TEXT, "run_id of the trajectories"),
        column("unit_id", TEXT, "what was simulated: a source's id, a group, or the rest of a coalition"),
        column("removed", pa.list_(TEXT), "the sources whose weight was lowered together"),
        optional("source_id", TEXT, "the source, when the unit is a single one"),
        REPLICATE,
        column("seed", COUNT, "seed of the training that was simulated"),
        column("mode", TEXT, "paired, tangent, or the name of an estimator"),
        column(
            "base",
            TEXT,
            "replay (the training's last steps again; also for an estimator) or continue (further steps)",
        ),
        column("notion", TEXT, "leave_one_out, banzhaf or shapley"),
        column("scope", TEXT, "which parameters may move, such as all; of an estimator: all"),
        column(
            "horizon",
            REAL,
            "part of the training's learning-rate mass that was run again, 0 to 1; of an estimator: 0",
        ),
        column("horizon_steps", COUNT, "steps that were simulated; of an estimator: 0"),
        column("weight", REAL, "weight of all sources in the unperturbed run; of an estimator: 1"),
        column(
            "epsilon", REAL, "by how much the unit's weight was lowered; 1: it is absent, or there is an estimator"
        ),
        column("settings_json", TEXT, "settings of task, training and simulation, and software versions, JSON"),
        column("device", TEXT, "what it was computed on: cpu or cuda"),
        optional("effective_damping", REAL, "lambda + 1 / (rate x steps); empty: not defined for the optimizer"),
        optional("smoothness", REAL, "relative change of the response at another size; empty: not checked"),
        optional("probe_nats", REAL, "worth of a group on a sample of training examples, nats; empty: no groups"),
        optional("failed_step", COUNT, "step at which the response exploded; empty: it did not"),
        optional("response_norm", REAL, "Euclidean length of the response, in units of the parameters"),
        optional("replay_drift", REAL, "largest absolute difference of replayed and recorded parameters"),
        optional(
            "artifact_uri",
            TEXT,
            "safetensors file of the response, or of what an estimator gathered of several units, relative to the "
            "working folder",
        ),
        optional("artifact_sha256", TEXT, "SHA-256 of that file, hexadecimal"),
        sort_by=("unit_id", "replicate"),
    ),
    "retrains": table(
        "The bank of real retrains: one row per training and set of sources that it went without.",
        column("bank", TEXT, "hash of corpus, task and training, whatever the seed"),
        column("seed", COUNT, "seed of the initial state and the batch order"),
        column("unit_id", TEXT, "the set of sources, hashed; whole: none were left out"),
        column("removed", pa.list_(TEXT), "the sources that were left out"),
        optional("artifact_uri", TEXT, "safetensors file of the response, or of the whole training's end state"),
        optional("artifact_sha256", TEXT, "SHA-256 of that file, hexadecimal"),
        sort_by=("bank", "seed"),
    ),
}
