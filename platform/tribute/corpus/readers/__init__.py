"""Readers of corpora and usage files: text, arrays, IDX files, installed documentation."""
