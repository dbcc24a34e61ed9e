"""Base class of all sections of `project.yaml`."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A section of `project.yaml`: immutable, without unknown keys, and with a fingerprint.

    Numbers and truth values are strict: text such as `1_000` or `yes` is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def fingerprint(self) -> str:
        """SHA-256 of the settings. Files count by name, so that a project can be moved."""
        settings = self.model_dump(exclude=self._not_counted())
        content = json.dumps(settings, sort_keys=True, default=lambda path: path.name)
        return hashlib.sha256(content.encode()).hexdigest()

    def _not_counted(self) -> set[str]:
        """Names of settings without effect, which the fingerprint omits."""
        return set()
