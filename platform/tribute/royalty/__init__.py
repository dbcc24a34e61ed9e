"""From valuations to money, and the proof of it. No float decides an amount; README.md beside this file."""

from tribute.royalty.accounting import month_after
from tribute.royalty.agreement import Agreement, agreement_of
from tribute.royalty.agreement_file import read_agreements
from tribute.royalty.alarms import AlarmLimits, alarms
from tribute.royalty.allocation import Allocation, Claim, Part, allocate_shares
from tribute.royalty.balance import Account, Adjustment, Balance, account_from_json, balance
from tribute.royalty.bundle import BundleFacts, build_bundle, with_proofs
from tribute.royalty.canonical import canonical_json, statement_sha256
from tribute.royalty.comparison import compare
from tribute.royalty.comparison_text import comparison_text
from tribute.royalty.csv_export import period_csv
from tribute.royalty.ddex import period_tsv
from tribute.royalty.findings import Finding
from tribute.royalty.footing import check_period, check_statement
from tribute.royalty.ledger import GENESIS, Entry, Posting, balances, check_chain, entries
from tribute.royalty.ledger_text import beancount
from tribute.royalty.limits import customer_weights
from tribute.royalty.money import Money, allocate, parse_money
from tribute.royalty.pdf import render_pdf
from tribute.royalty.plain_text import render_text
from tribute.royalty.policy import DEFAULT_POLICY, Policy, parse_policy, policy_from_json, policy_json
from tribute.royalty.rendering import render_html, render_report
from tribute.royalty.restatement import by_publisher, closing_statements, owed
from tribute.royalty.rights import Publisher, Right, RightsBook, rights_of_publishers
from tribute.royalty.rights_file import read_rights
from tribute.royalty.signing import new_key, public_key
from tribute.royalty.statement import Books, build_statements
from tribute.royalty.terms import SourceTerms, read_terms, terms_findings, terms_json
from tribute.royalty.valued import LineValue, PeriodFacts, Pool, PublisherValue, Quality
from tribute.royalty.verification import Problem, verify_bundle, verify_statement
from tribute.royalty.xlsx import period_xlsx

__all__ = [
    "DEFAULT_POLICY",
    "GENESIS",
    "Account",
    "Adjustment",
    "Agreement",
    "AlarmLimits",
    "Allocation",
    "Balance",
    "Books",
    "BundleFacts",
    "Claim",
    "Entry",
    "Finding",
    "LineValue",
    "Money",
    "Part",
    "PeriodFacts",
    "Policy",
    "Pool",
    "Posting",
    "Problem",
    "Publisher",
    "PublisherValue",
    "Quality",
    "Right",
    "RightsBook",
    "SourceTerms",
    "account_from_json",
    "agreement_of",
    "alarms",
    "allocate",
    "allocate_shares",
    "balance",
    "balances",
    "beancount",
    "build_bundle",
    "build_statements",
    "by_publisher",
    "canonical_json",
    "check_chain",
    "check_period",
    "check_statement",
    "closing_statements",
    "compare",
    "comparison_text",
    "customer_weights",
    "entries",
    "month_after",
    "new_key",
    "owed",
    "parse_money",
    "parse_policy",
    "period_csv",
    "period_tsv",
    "period_xlsx",
    "policy_from_json",
    "policy_json",
    "public_key",
    "read_agreements",
    "read_rights",
    "read_terms",
    "render_html",
    "render_pdf",
    "render_report",
    "render_text",
    "rights_of_publishers",
    "statement_sha256",
    "terms_findings",
    "terms_json",
    "verify_bundle",
    "verify_statement",
    "with_proofs",
]
