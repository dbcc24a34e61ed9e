"""Readers of corpora and usage files: text, arrays, IDX, installed documentation."""
