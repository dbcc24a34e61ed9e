"""Readers of what people and their programs write: a value is read as it is written, or refused by line or row.

No reader guesses a type: `010000` and `12:30` stay text. A key that stands twice is an error.
Errors are `ValueError`, those of `read_records` `RightsError`; the callers of the others name the file.
"""

from tribute.files.json_text import json_value
from tribute.files.moments import read_day, read_moment
from tribute.files.records import FileRow, raise_if_any, read_records
from tribute.files.unknown import nearest_name, unknown_columns
from tribute.files.yaml_text import yaml_rows, yaml_value

__all__ = [
    "FileRow",
    "json_value",
    "nearest_name",
    "raise_if_any",
    "read_day",
    "read_moment",
    "read_records",
    "unknown_columns",
    "yaml_rows",
    "yaml_value",
]
