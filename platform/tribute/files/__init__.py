"""Readers of what people and their programs write: a value is read as it is written, or refused by line or row.

No reader guesses a type: `010000` and `12:30` stay text. A key that stands twice is an error.
Errors are `ValueError`, and callers name the file. Tables of rows are read by `records`, which alone needs Arrow.
"""

from tribute.files.json_text import json_value
from tribute.files.moments import read_day, read_moment
from tribute.files.unknown import nearest_name, unknown_columns
from tribute.files.yaml_text import yaml_line, yaml_rows, yaml_value

__all__ = [
    "json_value",
    "nearest_name",
    "read_day",
    "read_moment",
    "unknown_columns",
    "yaml_line",
    "yaml_rows",
    "yaml_value",
]
