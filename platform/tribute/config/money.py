"""Settings of money: rights, agreements, pools, fees, the signing key and alarms."""

import re
from pathlib import Path

from pydantic import Field, field_validator

from tribute.config.section import Settings

_AMOUNT = re.compile(r"[0-9]{1,19}(\.[0-9]{1,4})?")
_PART = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40}|/[0-9]{1,40})?")


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

    id: str = Field(
        "pool", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100, description="name on statements"
    )
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
        return _written(value, _PART, "a part such as '0.3' or '1/3'")


class MoneySettings(Settings):
    """Fees, signing key and alarms."""

    fees: Path | None = Field(None, description="customer_id, fee: fee of each customer, for `user_centric`")
    signing_key: Path | None = Field(None, description="Ed25519 key, PEM; default: created in the working folder")
    alarms: dict[str, str] = Field({}, description="limits above which a period is flagged for review")

    @field_validator("alarms", mode="before")
    @classmethod
    def _are_parts(cls, value: object) -> object:
        if isinstance(value, dict):
            return {str(name): _written(each, _PART, "a part such as '0.25'") for name, each in value.items()}
        return value


def _amount(value: object) -> str:
    return _written(value, _AMOUNT, "a decimal number such as '10000.00' of at most 19 digits and 4 decimals")


def _written(value: object, form: re.Pattern[str], expected: str) -> str:
    """A number as it was written: text, or a whole number."""
    if isinstance(value, float):
        raise ValueError(f"{value} is a binary number. Write it in quotes, as text: '{value}'")
    text = str(value).strip()
    if isinstance(value, bool) or not form.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not {expected}, without signs, spaces, commas or exponents")
    return text
