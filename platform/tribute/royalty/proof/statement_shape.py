"""The schema of `tribute.statement/2`, of its proof and of `tribute.bundle/1`; README, "Statement" and "Proof"."""

from functools import partial

from tribute.royalty.division.policy import BASES, FALLBACKS
from tribute.royalty.document import STATEMENT_SCHEMA
from tribute.royalty.exact.calendar import MONTHS_OF
from tribute.royalty.proof.bundle import BUNDLE_SCHEMA, PROOF_SCHEMA
from tribute.royalty.proof.shapes import (
    COUNT,
    COUNT_OR_NULL,
    FLAG,
    HASH,
    INTEGER,
    MONTH,
    NULL,
    NUMBER,
    OBJECT,
    OBJECT_OR_NULL,
    RATIO,
    RATIO_OR_NULL,
    SIGNATURE,
    TEXT,
    TEXT_OR_NULL,
    Choice,
    Pair,
    Record,
    Rows,
    Shape,
    one_of,
    schema,
)

_closed = partial(Record, closed=True)


def _keys(names: str, shape: Shape) -> dict[str, Shape]:
    return dict.fromkeys(names.split(), shape)


_USE_TYPE = one_of("ai_generation")
_NATS = "attribution_signed_nats value_nats attribution_payable_nats"
_OF_LINE: dict[str, Shape] = (
    _keys("line_id pool_id amount", TEXT)
    | {"line_type": one_of("source", "unattributed"), "use_type": _USE_TYPE, "terms": OBJECT}
    | {"share": RATIO, "amount_minor": INTEGER}
)
_SOURCE_LINE = _closed(
    _OF_LINE
    | _keys(f"{_NATS} ci_low_nats ci_high_nats", NUMBER)
    | _keys("usage_count tokens", COUNT)
    | _keys("title license", TEXT_OR_NULL)
    | {"source_id": TEXT, "split": RATIO}
)
_UNATTRIBUTED_LINE = _closed(
    _OF_LINE
    | _keys(f"{_NATS} ci_low_nats ci_high_nats", NULL)
    | _keys("usage_count tokens title license source_id split", NULL)
)
_LINE = Choice("line_type", {"source": _SOURCE_LINE, "unattributed": _UNATTRIBUTED_LINE})
_DEDUCTION = _closed({"name": TEXT, "amount_minor": COUNT})
_POOL = _closed(
    _keys("pool_id pool_amount", TEXT)
    | _keys("gross_revenue_minor net_revenue_minor pool_amount_minor unattributed_minor", COUNT)
    | {"royalty_rate": RATIO, "allocation_basis": one_of(*BASES), "deductions": Rows(_DEDUCTION)}
)
_ADJUSTMENT = _closed(
    _keys("reason adjusts_statement_id", TEXT) | {"amount_minor": INTEGER}, optional={"running": FLAG}
)
_ACCOUNT = _closed(
    _keys("balance_minor unrecouped_minor earned_minor", INTEGER) | {"reserves": Rows(Pair(MONTH, INTEGER))}
)
_BALANCE = _closed(
    _keys(
        "opening_balance_minor royalty_allocated_minor royalty_earned_minor prior_period_adjustment_minor", INTEGER
    )
    | _keys("advance_granted_minor advance_recouped_minor minimum_guarantee_shortfall_minor", INTEGER)
    | _keys("reserve_held_minor reserve_released_minor payable_before_tax_minor withholding_tax_minor", INTEGER)
    | _keys("amount_paid_minor carried_forward_minor closing_balance_minor unrecouped_advance_minor", INTEGER)
    | {"accounting_period_earned_minor": INTEGER}
    | _keys("royalty_rate withholding_tax_rate", RATIO)
    | {"adjustments": Rows(_ADJUSTMENT), "account": _ACCOUNT}
)
_AGREEMENT = _closed(
    {"agreement_id": TEXT, "accounting_period": one_of(*MONTHS_OF)}
    | _keys("guarantee_minor threshold_minor reserve_months", COUNT)
    | _keys("rate reserve_rate withholding_rate", RATIO)
)
_INTERVAL = _closed(
    _keys("value_nats ci_low_nats ci_high_nats", NUMBER) | {"confidence": one_of("0.95")},
    optional=_keys("amount_low amount_high amount_range_basis", TEXT)
    | _keys("amount_low_minor amount_high_minor", INTEGER),
)
_POLICY = _closed(
    _keys("name version text", TEXT)
    | {"basis": one_of(*BASES), "fallback": one_of(*FALLBACKS), "blend": OBJECT, "noise_floor": FLAG}
    | _keys("cap floor customer_cap", RATIO_OR_NULL)
    | {"sha256": HASH},
)

_OF_STATEMENT: dict[str, Shape] = (
    {"schema": schema(STATEMENT_SCHEMA), "supersedes_statement_id": TEXT_OR_NULL}
    | {"quality_certificate": OBJECT_OR_NULL, "use_type": _USE_TYPE}
    | {"restates_statement_version": COUNT_OR_NULL}
    | _keys("statement_id status publisher_id publisher_name model_id period_start period_end", TEXT)
    | _keys("currency value_run simulate_run train_run share_percent amount", TEXT)
    | _keys(f"shrinkage payable_nats {_NATS}", NUMBER)
    | {"period": MONTH, "statement_version": COUNT, "usage_count": COUNT}
    | _keys("currency_exponent amount_minor", INTEGER)
    | {"share": RATIO, "parts": _closed(_keys("attributed unattributed moved", RATIO))}
    | {"agreement": _AGREEMENT, "policy": _POLICY, "pools": Rows(_POOL), "interval": _INTERVAL}
    | {"lines": Rows(_LINE), "balance": _BALANCE}
    | {"totals": _closed(_keys("line_count lines_amount_minor", INTEGER))}
)
_OF_PROOF: dict[str, Shape] = (
    _keys("tree_size first_leaf", INTEGER)
    | {"schema": schema(PROOF_SCHEMA), "period": TEXT, "hashes": Rows(HASH)}
    | {"root": HASH, "signature": SIGNATURE, "public_key": HASH}
)
_INPUT = _closed({"table": TEXT, "run_ids": Rows(TEXT), "rows": COUNT, "sha256": HASH})
_FILE = _closed({"setting": TEXT, "name": TEXT, "sha256": HASH})
_LEDGER = _closed({"entries": COUNT, "sha256": HASH})
_FACT_HASHES = _closed(_keys("model_id period code_version policy inputs simulation files ledger", HASH))

_OF_BUNDLE: dict[str, Shape] = (
    {"schema": schema(BUNDLE_SCHEMA)}
    | _keys("model_id period code_version", TEXT)
    | {"policy": _POLICY, "inputs": Rows(_INPUT), "files": Rows(_FILE), "ledger": _LEDGER}
    | {"simulation": OBJECT, "facts_sha256": _FACT_HASHES}
    | {"statements": Rows(_closed(_OF_STATEMENT))}
    | {"statement_sha256": Rows(HASH), "leaves": Rows(HASH), "root": HASH, "tree_size": INTEGER}
    | {"public_key": HASH, "head_signature": SIGNATURE, "signature": SIGNATURE}
)

STATEMENT = _closed(_OF_STATEMENT | {"proof": _closed(_OF_PROOF)})
BUNDLE = _closed(_OF_BUNDLE)
