"""Base class of all sections of `project.yaml`."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from tribute.ids import excerpt

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class Settings(BaseModel):
    """A section of `project.yaml`: immutable, without unknown keys, and with a fingerprint.

    Numbers and truth values are strict: text such as `1_000` or `yes` is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _paths_are_local(cls, values: Any) -> Any:
        for name, field in cls.model_fields.items() if isinstance(values, dict) else ():
            given = values.get(name)
            for each in given if isinstance(given, list | tuple) else [given]:
                of_path = Path in (field.annotation, *get_args(field.annotation))
                if of_path and isinstance(each, str) and _ADDRESS.match(each):
                    raise ValueError(
                        f"{name} is {excerpt(each)}, an address. Only files of this machine are read: download "
                        "it, and write the path of its folder, .jsonl or .parquet file"
                    )
        return values

    def counted(self) -> dict[str, Any]:
        """The settings that change a result, JSON-ready. A file counts only as given or not."""
        settings = self.model_dump(exclude=self._not_counted())
        counted: dict[str, Any] = json.loads(json.dumps(settings, default=_given))
        return counted

    def fingerprint(self) -> str:
        """SHA-256 of the counted settings. The content of files is for the caller to add."""
        return hashlib.sha256(json.dumps(self.counted(), sort_keys=True).encode()).hexdigest()

    def _not_counted(self) -> set[str]:
        """Names of settings without effect, which the fingerprint omits."""
        return set()


def _given(value: object) -> str:
    """What stands for the path of a file: neither its name nor its place counts."""
    if isinstance(value, Path):
        return "a file"
    raise TypeError(f"{type(value).__name__} is no setting")
