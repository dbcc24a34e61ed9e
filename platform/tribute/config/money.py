"""Settings of money: rights, agreements, pools, fees, the signing key and alarms."""

from decimal import Decimal, InvalidOperation
from pathlib import Path

from pydantic import Field, field_validator

from tribute.config.section import Settings


class RightsSettings(Settings):
    """Rights, publishers, agreements and licence terms; each file is CSV, YAML or Parquet."""

    sources: Path | None = Field(None, description="source_id, publisher_id, split, valid_from, valid_to")
    publishers: Path | None = Field(None, description="publisher_id, name")
    agreements: Path | None = Field(
        None, description="publisher_id, currency, rate, advance, minimum_guarantee, payout_threshold, ..."
    )
    terms: Path | None = Field(None, description="source_id, license, rsl, tdm_reservation, tdm_policy; verbatim")


class PoolSettings(Settings):
    """Money of a period. Amounts are text, so that they stay exact."""

    id: str = Field("pool", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name on statements")
    amount: str = Field("10000.00", description="revenue of the period, before deductions")
    deductions: dict[str, str] = Field(
        {}, description="deductions from the revenue, by name, such as payment fees"
    )
    rate: str = Field("1", description="share of the remainder to distribute, such as 0.3 or 1/3")
    currency: str = Field("EUR", description="ISO 4217 code")

    @field_validator("amount", "deductions", mode="before")
    @classmethod
    def _are_exact(cls, value: object) -> object:
        if isinstance(value, dict):
            return {str(name): _amount(each) for name, each in value.items()}
        return _amount(value)

    @field_validator("rate", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> str:
        if isinstance(value, float):
            raise ValueError(f"write the rate in quotes, as text: rate: '{value}'")
        return str(value)


class MoneySettings(Settings):
    """Fees, signing key and alarms."""

    fees: Path | None = Field(None, description="customer_id, fee: fee of each customer, for `user_centric`")
    signing_key: Path | None = Field(None, description="Ed25519 key, PEM; default: created in the working folder")
    alarms: dict[str, str] = Field({}, description="limits above which a period is flagged for review")


def _amount(value: object) -> str:
    if isinstance(value, float):
        raise ValueError(f"write the amount in quotes, as text: amount: '{value}'")
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a decimal number such as '10000.00'") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{value!r} is not a finite amount of at least 0")
    return str(value)
