"""The schema of `tribute.statement/2`, of its proof and of `tribute.bundle/1`; README, "Statement" and "Proof"."""

from tribute.royalty.bundle import BUNDLE_SCHEMA, PROOF_SCHEMA
from tribute.royalty.shapes import ANY, HASH, INTEGER, OBJECT, RATIO, SIGNATURE, TEXT, Record, Rows, Shape, schema

STATEMENT_SCHEMA = "tribute.statement/2"


def _keys(names: str, shape: Shape) -> dict[str, Shape]:
    return dict.fromkeys(names.split(), shape)


_LINE = Record(
    _keys("line_id line_type pool_id amount", TEXT)
    | _keys("source_id title license terms split use_type usage_count tokens share", ANY)
    | _keys("attribution_signed_nats value_nats attribution_payable_nats ci_low_nats ci_high_nats", ANY)
    | {"amount_minor": INTEGER}
)
_DEDUCTION = Record({"name": TEXT, "amount_minor": INTEGER})
_POOL = Record(
    _keys("pool_id pool_amount allocation_basis", TEXT)
    | _keys("gross_revenue_minor net_revenue_minor pool_amount_minor unattributed_minor", INTEGER)
    | {"royalty_rate": RATIO, "deductions": Rows(_DEDUCTION)}
)
_BALANCE = Record(
    _keys(
        "opening_balance_minor royalty_allocated_minor royalty_earned_minor prior_period_adjustment_minor", INTEGER
    )
    | _keys("advance_granted_minor advance_recouped_minor minimum_guarantee_shortfall_minor", INTEGER)
    | _keys("reserve_held_minor reserve_released_minor payable_before_tax_minor withholding_tax_minor", INTEGER)
    | _keys("amount_paid_minor carried_forward_minor closing_balance_minor unrecouped_advance_minor", INTEGER)
    | _keys("royalty_rate withholding_tax_rate", RATIO)
    | {"adjustments": Rows(Record(_keys("reason adjusts_statement_id", TEXT) | {"amount_minor": INTEGER}))}
    | {"account": Record(_keys("balance_minor unrecouped_minor earned_minor", INTEGER) | {"reserves": Rows(ANY)})}
)
_AGREEMENT = Record(
    _keys("agreement_id accounting_period", TEXT)
    | _keys("guarantee_minor threshold_minor reserve_months", INTEGER)
    | _keys("rate reserve_rate withholding_rate", RATIO)
)
_INTERVAL = Record(
    _keys("confidence value_nats ci_low_nats ci_high_nats", TEXT),
    optional=_keys("amount_low amount_high amount_range_basis", TEXT)
    | _keys("amount_low_minor amount_high_minor", INTEGER),
)
_POLICY = Record(_keys("name version basis text", TEXT) | {"sha256": HASH})

_OF_STATEMENT: dict[str, Shape] = (
    {"schema": schema(STATEMENT_SCHEMA), "supersedes_statement_id": ANY, "quality_certificate": ANY}
    | _keys("statement_id status publisher_id publisher_name model_id period period_start period_end", TEXT)
    | _keys("currency use_type value_run simulate_run train_run shrinkage payable_nats share_percent amount", TEXT)
    | _keys("attribution_signed_nats value_nats attribution_payable_nats", TEXT)
    | _keys("statement_version currency_exponent usage_count amount_minor", INTEGER)
    | {"share": RATIO, "parts": Record(_keys("attributed unattributed moved", RATIO))}
    | {"agreement": _AGREEMENT, "policy": _POLICY, "pools": Rows(_POOL), "interval": _INTERVAL}
    | {"lines": Rows(_LINE), "balance": _BALANCE}
    | {"totals": Record(_keys("line_count lines_amount_minor", INTEGER))}
)
_OF_PROOF: dict[str, Shape] = (
    _keys("tree_size first_leaf", INTEGER)
    | {"schema": schema(PROOF_SCHEMA), "period": TEXT, "hashes": Rows(HASH)}
    | {"root": HASH, "signature": SIGNATURE, "public_key": HASH}
)
_INPUT = Record({"table": TEXT, "run_id": ANY, "rows": INTEGER, "sha256": HASH})
_FACT_HASHES = Record(_keys("model_id period code_version policy inputs simulation", HASH), closed=True)

_OF_BUNDLE: dict[str, Shape] = (
    {"schema": schema(BUNDLE_SCHEMA)}
    | _keys("model_id period code_version", TEXT)
    | {"policy": _POLICY, "inputs": Rows(_INPUT), "simulation": OBJECT, "facts_sha256": _FACT_HASHES}
    | {"statements": Rows(Record(_OF_STATEMENT, closed=True))}
    | {"statement_sha256": Rows(HASH), "leaves": Rows(HASH), "root": HASH, "tree_size": INTEGER}
    | {"public_key": HASH, "head_signature": SIGNATURE, "signature": SIGNATURE}
)

STATEMENT = Record(_OF_STATEMENT | {"proof": Record(_OF_PROOF, closed=True)}, closed=True)
BUNDLE = Record(_OF_BUNDLE, closed=True)
