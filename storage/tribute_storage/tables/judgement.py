"""Tables of evaluation: the accuracy of the values."""

import pyarrow as pa

from tribute_storage.columns import COUNT, PERIOD, REAL, SIMULATE_RUN, TEXT, column, optional, table

TABLES: dict[str, pa.Schema] = {
    "evaluations": table(
        "How good a method is, judged by real retraining on queries that nothing was tuned on.",
        SIMULATE_RUN,
        PERIOD,
        column("method", TEXT, "a read-out, an estimator, a way to pay, or a baseline"),
        column("kind", TEXT, "payment, readout, estimator or baseline"),
        column("metric", TEXT, "such as lds_half_other_seed"),
        column("value", REAL, "the figure"),
        optional("ci_low", REAL, "lower end of its 95% bootstrap interval; empty: none was made"),
        optional("ci_high", REAL, "upper end of it"),
        sort_by=("method", "metric"),
    ),
    "certificates": table(
        "One row per quality certificate: what statements name.",
        SIMULATE_RUN,
        PERIOD,
        column(
            "misallocated_pool", REAL, "part of the pool that goes to another payee than by retraining, 0 to 1"
        ),
        optional("ceiling", REAL, "the same of retraining against retraining; empty: there was one other seed"),
        column("seeds", COUNT, "other seeds under which every source was left out"),
        column("token_count", REAL, "the same of paying by tokens"),
        column("coverage_95", REAL, "part of the 95% intervals that hold the retrained truth"),
        column("json", TEXT, "all figures, canonical JSON"),
        column("sha256", TEXT, "SHA-256 of the certificate's page, hexadecimal"),
        sort_by=("period",),
    ),
}
