"""A publisher's account: agreement, balance, restatements, ledger."""

from tribute.royalty.account.agreement import Agreement, agreement_of
from tribute.royalty.account.balance import balance
from tribute.royalty.account.ledger import GENESIS, Entry, Posting, balances, beancount, check_chain, entries
from tribute.royalty.account.restatement import by_publisher, closing_statements, owed

__all__ = [
    "GENESIS",
    "Agreement",
    "Entry",
    "Posting",
    "agreement_of",
    "balance",
    "balances",
    "beancount",
    "by_publisher",
    "check_chain",
    "closing_statements",
    "entries",
    "owed",
]
