"""Estimators on the transformer: those with other options than the defaults, and those that are left out."""

from tests.benchmarks.canonical.methods import Variant

PRODUCTS = {"solve_for": "queries", "examples": 250, "rows": 32, "product_bytes": 2**27}
"""A quarter of the examples in the Gauss-Newton matrix; small passes, which cost half as much here."""
FURTHER_ON_TEXT = [
    Variant("conjugate_gradient", PRODUCTS, "conjugate_gradient, solved for queries, 250 examples"),
    Variant("astra", PRODUCTS, "astra, solved for queries, 250 examples"),
    Variant("astra", PRODUCTS | {"damping": 3.0}, "astra, solved for queries, 250 examples, damping 3"),
]
_EACH = "with its defaults it solves for each of 1,000 examples; the table has it solved for each of 100 queries"
WITHOUT_ON_TEXT = {
    "astra": _EACH,
    "conjugate_gradient": _EACH,
    "adamw_influence": "it differentiates a training for each of 1,000 examples",
    "patches": "it compares images",
}
