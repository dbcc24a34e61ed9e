"""Settling, closing and proving periods: the royalty rules, wired to the lake and to files."""
