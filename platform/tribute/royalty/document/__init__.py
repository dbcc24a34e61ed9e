"""The documents of a period, with their types: statement and bundle."""

STATEMENT_SCHEMA = "tribute.statement/2"
