"""Drawn corpora and uses in files, and what must be read from them."""
