"""What every part of `project.yaml` shares: it is immutable, strict about its keys, and has a fingerprint."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part of `project.yaml`: immutable, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def fingerprint(self) -> str:
        """SHA-256 of the settings; a file counts by its name, so that a project can live anywhere."""
        settings = self.model_dump(exclude=self._not_counted())
        content = json.dumps(settings, sort_keys=True, default=lambda path: path.name)
        return hashlib.sha256(content.encode()).hexdigest()

    def _not_counted(self) -> set[str]:
        """Settings that say nothing here: the fingerprint is as if there were no such settings."""
        return set()
