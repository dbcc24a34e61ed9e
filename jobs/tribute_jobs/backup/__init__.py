"""Backups of a project: a consistent set of all that it made and reads, without its key; and their restoration."""
