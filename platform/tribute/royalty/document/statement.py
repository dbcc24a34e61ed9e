"""The statement: what a publisher is credited for a period in one currency, and why."""

import hashlib
from typing import Annotated, Final, Literal

from pydantic import Field

from tribute.errors import MoneyError
from tribute.royalty.document.account import AccountBalance, AgreementTerms
from tribute.royalty.document.kinds import (
    Count,
    Day,
    ExactModel,
    Minor,
    Month,
    Nats,
    Ratio,
    Rows,
    Sha256,
    Signature,
)
from tribute.royalty.document.repetition import Repetition

STATEMENT_SCHEMA: Final = "tribute.statement/2"
PROOF_SCHEMA: Final = "tribute.proof/2"

Basis = Literal["attribution", "token_count", "equal", "user_centric", "blend"]
Fallback = Literal["token_count", "equal"]
UseType = Literal["ai_generation"]


class PolicyRecord(ExactModel):
    """The rule of division."""

    name: str
    version: str
    basis: Basis
    blend: dict[str, Ratio]
    """Weight of each basis; empty unless the basis is `blend`."""
    fallback: Fallback
    """Basis of whatever the policy's basis cannot attribute."""
    noise_floor: bool
    cap: Ratio | None
    floor: Ratio | None
    customer_cap: Ratio | None
    text: str
    """The rule in plain English."""
    sha256: Sha256
    """SHA-256 of the canonical JSON of all other keys."""


class QualityCertificate(ExactModel):
    """How well the valuation matched real retraining."""

    certificate_id: str
    sha256: Sha256
    misallocated_pool: Nats
    """Part of the pool that retraining would have paid to another publisher."""
    coverage_95: Nats
    """Part of the 95% intervals that held the retrained value."""


class PoolDeduction(ExactModel):
    """An amount taken off the revenue before the royalty rate applies."""

    name: str
    amount_minor: Count


class StatementPool(ExactModel):
    """A pool of the statement's currency: (revenue - deductions) x rate."""

    pool_id: str
    gross_revenue_minor: Count
    deductions: Rows[PoolDeduction]
    net_revenue_minor: Count
    royalty_rate: Ratio
    pool_amount_minor: Count
    pool_amount: str
    allocation_basis: Basis
    unattributed_minor: Count
    """What the policy's fallback divided."""


class StatementParts(ExactModel):
    """The publisher's share of the pools by origin."""

    attributed: Ratio
    unattributed: Ratio
    moved: Ratio
    """Added or taken by cap and floor."""


class ValueInterval(ExactModel):
    """The publisher's value with its confidence interval: in nats, as a share, and in money.

    A share is of what the policy divides by value, and an amount is what the policy pays at either end of it. Both
    are absent where the policy pays otherwise.
    """

    confidence: Literal["0.95"]
    value_nats: Nats
    ci_low_nats: Nats
    ci_high_nats: Nats
    share_low: Annotated[Nats | None, Field(exclude_if=lambda value: value is None)] = None
    share_high: Annotated[Nats | None, Field(exclude_if=lambda value: value is None)] = None
    amount_low_minor: Annotated[Minor | None, Field(exclude_if=lambda value: value is None)] = None
    amount_low: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    amount_high_minor: Annotated[Minor | None, Field(exclude_if=lambda value: value is None)] = None
    amount_high: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    amount_range_basis: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None


class SourceLine(ExactModel):
    """What a source earned from a pool."""

    line_id: str
    line_type: Literal["source"]
    pool_id: str
    source_id: str
    title: str | None
    license: str | None
    terms: dict[str, str]
    """What the holder declares, verbatim."""
    split: Ratio
    """The publisher's part of the source."""
    use_type: UseType
    usage_count: Count
    tokens: Count
    attribution_signed_nats: Nats
    value_nats: Nats
    attribution_payable_nats: Nats
    ci_low_nats: Nats
    ci_high_nats: Nats
    share: Ratio
    """Part of the pool."""
    amount_minor: Minor
    amount: str


class UnattributedLine(ExactModel):
    """What the policy's fallback gave the publisher from a pool: no source earned it."""

    line_id: str
    line_type: Literal["unattributed"]
    pool_id: str
    source_id: None
    title: None
    license: None
    terms: dict[str, str]
    split: None
    use_type: UseType
    usage_count: None
    tokens: None
    attribution_signed_nats: None
    value_nats: None
    attribution_payable_nats: None
    ci_low_nats: None
    ci_high_nats: None
    share: Ratio
    amount_minor: Minor
    amount: str


StatementLine = Annotated[SourceLine | UnattributedLine, Field(discriminator="line_type")]


class StatementChange(ExactModel):
    """Why a restated amount is another one than in the version before: the parts sum to the difference."""

    before_minor: Minor
    """`amount_minor` of the version before; 0 if the publisher had no statement in it."""
    usage_minor: Minor
    """By other uses of the model."""
    measurements_minor: Minor
    """By further trainings without some of the sources."""
    prior_minor: Minor
    """By other estimates, token counts or settings of the valuation."""
    values_minor: Minor
    """By usage, measurements and prior together, where they cannot be told apart."""
    terms_minor: Minor
    """By other rights, another policy or another pool."""
    rounding_minor: Minor


class StatementTotals(ExactModel):
    """Check sums over the lines."""

    line_count: Count
    lines_amount_minor: Minor


class StatementProof(ExactModel):
    """Proof that a statement is a leaf of the period's signed Merkle tree (RFC 6962).

    The leaf is the canonical JSON of the statement without `proof`.
    """

    schema_name: Literal["tribute.proof/2"] = Field(alias="schema")
    tree_size: Count
    leaf_index: Count
    hashes: Rows[Sha256]
    """The audit path of the leaf, from the leaf upwards."""
    root: Sha256
    period: Month
    signature: Signature
    """Over model, period, root and tree size."""
    public_key: Sha256


class Statement(ExactModel):
    """What a publisher is credited for a period in one currency, and why."""

    schema_name: Literal["tribute.statement/2"] = Field(alias="schema")
    statement_id: str
    statement_version: Count
    restates_statement_version: Count | None
    supersedes_statement_id: str | None
    status: Literal["draft", "final"]
    publisher_id: str
    publisher_name: str
    model_id: str
    period: Month
    period_start: Day
    period_end: Day
    currency: str
    currency_exponent: Count
    """Decimal digits of the currency's minor unit."""
    use_type: UseType
    value_run: str
    simulate_run: str
    train_run: str
    repetition: Annotated[Repetition | None, Field(exclude_if=lambda value: value is None)] = None
    """How the model was trained without sources: anew; by replaying its recorded training; or further from a
    checkpoint, so that what a source did before is not taken out. Absent: an earlier release did not say."""
    quality_certificate: QualityCertificate | None
    agreement: AgreementTerms
    policy: PolicyRecord
    pools: Rows[StatementPool]
    shrinkage: Nats
    """Weight of the token shares in the value, 0 to 1."""
    payable_nats: Nats
    """Sum of all publishers' values above 0."""
    share: Ratio
    """The publisher's part of the pools."""
    share_percent: str
    parts: StatementParts
    attribution_signed_nats: Nats
    value_nats: Nats
    attribution_payable_nats: Nats
    usage_count: Count
    interval: ValueInterval
    lines: Rows[StatementLine]
    amount_minor: Minor
    amount: str
    balance: AccountBalance
    totals: StatementTotals
    change: Annotated[StatementChange | None, Field(exclude_if=lambda change: change is None)] = None
    """Only on a version that restates a closed period."""
    proof: Annotated[StatementProof | None, Field(exclude_if=lambda proof: proof is None)] = None
    """Only on the statements of a closed period."""

    @property
    def key(self) -> tuple[str, str]:
        """Publisher and currency, which name an account."""
        return self.publisher_id, self.currency

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON without `proof`, in hexadecimal."""
        return hashlib.sha256(self.unproven().canonical()).hexdigest()

    def unproven(self) -> "Statement":
        """The statement without `proof`: what is hashed."""
        return self if self.proof is None else self.model_copy(update={"proof": None})


def read_statement(content: str | bytes) -> Statement:
    """The statement that JSON holds.

    Raises:
        MoneyError: a key is missing or unknown, or a value is of another kind; names the first one.
    """
    try:
        return Statement.model_validate_json(content)
    except ValueError as error:
        raise MoneyError(f"This is not a statement of schema {STATEMENT_SCHEMA}: {error}") from None
