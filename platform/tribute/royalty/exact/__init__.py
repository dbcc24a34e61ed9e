"""Exact numbers, months, canonical bytes: what all royalty rules rest on."""

from tribute.royalty.exact.calendar import month_after
from tribute.royalty.exact.canonical import canonical_json
from tribute.royalty.exact.findings import Finding
from tribute.royalty.exact.money import Money, allocate, parse_money

__all__ = ["Finding", "Money", "allocate", "canonical_json", "month_after", "parse_money"]
