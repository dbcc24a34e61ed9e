"""Estimators on the transformer: those with other options than the defaults, and those that are left out."""

from tests.benchmarks.canonical.methods import Variant

QUERIES = {"solve_for": "queries"}
FURTHER_ON_TEXT = [
    Variant("conjugate_gradient", QUERIES, "conjugate_gradient, solved for queries"),
    Variant("astra", QUERIES, "astra, solved for queries"),
]
_EACH = "with its defaults it solves for each of 1,000 examples; the table has it solved for each of 100 queries"
WITHOUT_ON_TEXT = {
    "astra": _EACH,
    "conjugate_gradient": _EACH,
    "adamw_influence": "it differentiates a training for each of 1,000 examples",
}
